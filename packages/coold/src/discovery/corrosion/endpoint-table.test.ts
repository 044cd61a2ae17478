import { describe, expect, it } from 'vitest';
import { endpointColumns, ownEndpoints, readEndpoint, upsertEndpoint } from './endpoint-table.ts';

const row = {
  containerId: 'abc',
  name: "it's",
  namespace: 'default',
  hostMgmtIp: '100.64.0.1',
  address: '10.0.0.1',
  state: 'running',
  health: 'unknown',
};

describe('a row', () => {
  it('is written in the order in which it is read, with the time in whole ms', () => {
    const [sql, params] = upsertEndpoint(row, 1234.5);
    expect(sql).toContain(`(${[...endpointColumns, 'updated_at'].join(', ')})`);
    expect(params.at(-1)).toBe(1234);
    expect(readEndpoint(params.slice(0, -1))).toEqual(row);
  });

  it('is removed only where the host owns it', () => {
    expect(ownEndpoints('100.64.0.1', Date.now).remove(row)).toEqual([
      'DELETE FROM service_endpoints WHERE container_id = ? AND host_mgmt_ip = ?',
      ['abc', '100.64.0.1'],
    ]);
  });

  it.each([
    [[], 'container_id'],
    [['abc', 'web', 'default', '100.64.0.1', null, 'running', 'unknown'], 'container_ip'],
    [['abc', 5, 'default', '100.64.0.1', '', 'running', 'unknown'], 'container_name'],
  ])('%j is refused, naming the column', (values, column) => {
    expect(() => readEndpoint(values)).toThrow(column);
  });
});
