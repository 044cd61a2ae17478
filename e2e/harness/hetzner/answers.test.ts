import { expect, test } from 'vitest';
import { readAction, readError, readPage, readServer, readServerType } from './answers.ts';

const server = {
  id: 42,
  name: 'a',
  status: 'running',
  labels: { one: '1' },
  public_net: { ipv4: { id: 1, ip: '192.0.2.1', blocked: false }, ipv6: null },
};

test('reads the used fields of a server', () => {
  const { id, name, status, labels } = server;
  expect(readServer({ ...server, more: 1 })).toEqual({ id, name, status, labels, address: '192.0.2.1' });
  expect(readServer({ ...server, public_net: { ipv4: null } }).address).toBeUndefined();
});

test.each([
  [{ ...server, id: '42' }, 'server.id'],
  [{ ...server, id: 0 }, 'server.id'],
  [{ ...server, name: null }, 'server.name'],
  [{ ...server, labels: { one: 1 } }, 'server.labels.one'],
  [{ ...server, public_net: { ipv4: { ip: 7 } } }, 'server.public_net.ipv4.ip'],
  [{ ...server, public_net: { ipv4: { ip: '-oProxyCommand=x' } } }, 'server.public_net.ipv4.ip'],
  ['text', 'server'],
])('what is not as documented is named: %#', (value, at) => {
  expect(() => readServer(value)).toThrow(`${at} is not as documented`);
});

test('puts the reason of a failed action on one line', () => {
  const failed = { id: 1, command: 'create_server', status: 'error' };
  expect(readAction({ ...failed, error: { code: 'c', message: 'a\n b' } }).error).toBe('a b (c)');
  expect(readAction({ ...failed, error: null }).error).toBe('no reason given');
  expect(() => readAction({ ...failed, status: 'new' })).toThrow('action.status');
});

test('leaves out locations where a type is about to end', () => {
  const price = (location: string, net: string) => ({ location, price_hourly: { net, gross: net } });
  const type = {
    name: 'small',
    architecture: 'x86',
    memory: 4,
    prices: [price('one', '0.0060000000'), price('two', '0.007')],
    locations: [
      { name: 'one', deprecation: null },
      { name: 'two', deprecation: { unavailable_after: '2030-01-01T00:00:00Z' } },
    ],
  };
  expect(readServerType(type).offers).toEqual([{ location: 'one', hourlyPrice: 0.006 }]);
  expect(readServerType({ ...type, deprecation: { announced: '2020' } }).offers).toEqual([]);
  expect(() => readServerType({ ...type, prices: [price('one', 'free')] })).toThrow('price_hourly.net');
});

test('reads the number of the next page', () => {
  const read = (value: unknown) => String(value);
  const answer = (next_page: unknown) => ({ list: ['a'], meta: { pagination: { next_page } } });
  expect(readPage(answer(2), 'list', read)).toEqual({ entries: ['a'], next: 2 });
  expect(readPage(answer(null), 'list', read).next).toBeUndefined();
  expect(() => readPage(answer('2'), 'list', read)).toThrow('meta.pagination.next_page');
  expect(() => readPage({}, 'list', read)).toThrow('list is not as documented');
});

test('an error body of another form has no code', () => {
  expect(readError({ error: { code: 'locked', message: 'it is locked' } })).toEqual({
    code: 'locked',
    message: 'it is locked',
  });
  for (const body of [undefined, null, 'text', {}, { error: 'text' }, { error: { code: 1 } }])
    expect(readError(body)).toEqual({ code: '', message: '' });
});
