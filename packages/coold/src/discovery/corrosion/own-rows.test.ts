import { join } from 'node:path';
import { createCorrosion } from '@coold/corrosion';
import { scratchFolder } from '@coold/testbed';
import { startStandIn } from '@coold/testbed/corrosion';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { forever, hostMgmtIp, rowsOf } from '../../../test/mesh-host.ts';
import { type Endpoint, isSameEndpoint } from '../endpoint.ts';
import { ownEndpoints, upsertEndpoint } from './endpoint-table.ts';
import { diffRows, OwnRows } from './own-rows.ts';

const row = (containerId: string): Endpoint => ({
  containerId,
  name: containerId,
  namespace: 'default',
  hostMgmtIp,
  address: '10.231.1.2',
  state: 'running',
  health: 'unknown',
});

it('puts right, or removes, rows of this host that cannot be read', async () => {
  await using folder = await scratchFolder();
  await using standIn = await startStandIn(join(folder.path, 'corrosion'));
  const corrosion = createCorrosion({ url: standIn.url, tokenFile: undefined });
  await corrosion.execute(
    ['a', 'b', 'c'].map(id => upsertEndpoint(row(id), 1)),
    forever,
  );
  const spoil = "UPDATE service_endpoints SET container_ip = X'00ff' WHERE container_id IN ('a', 'b')";
  await corrosion.execute([[spoil, []]], forever);
  const writer = new OwnRows(corrosion, ownEndpoints(hostMgmtIp, Date.now));
  const wanted = new Map([row('a'), row('c')].map(one => [one.containerId, one]));
  expect(await writer.write(wanted, () => false, forever)).toBe(2);
  expect(await rowsOf(standIn.url)).toEqual(wanted);
});

const rows = fc
  .array(
    fc.record({
      containerId: fc.constantFrom('a', 'b', 'c', 'd'),
      name: fc.constantFrom('x', 'y'),
      namespace: fc.constantFrom('default', 'shop'),
      hostMgmtIp: fc.constant('100.64.0.1'),
      address: fc.constantFrom('', '10.0.0.1'),
      state: fc.constantFrom('running', 'exited'),
      health: fc.constantFrom('unknown', 'healthy'),
    }),
  )
  .map(all => new Map<string, Endpoint>(all.map(row => [row.containerId, row])));

it('makes the rows that are written those that are wanted, and touches no others', () => {
  fc.assert(
    fc.property(rows, rows, (wanted, written) => {
      const { upserts, removals } = diffRows(wanted, written, isSameEndpoint);
      const after = new Map(written);
      for (const { containerId } of removals) expect(after.delete(containerId)).toBe(true);
      for (const row of upserts) {
        expect(after.get(row.containerId)).not.toEqual(row);
        after.set(row.containerId, row);
      }
      expect(after).toEqual(wanted);
      expect(diffRows(wanted, after, isSameEndpoint)).toEqual({ upserts: [], removals: [] });
    }),
  );
});
