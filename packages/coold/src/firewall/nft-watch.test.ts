import { createLogger } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { createPacketFilter } from '@coold/testbed/packet-filter';
import { expect, test, vi } from 'vitest';
import { type NftEvent, readNftEvent, watchNft } from './nft-watch.ts';

const log = createLogger('coold', { level: 'off', components: new Map() }, false);
const names = ['mine', 'coolify_bridge'];
const rule = { family: 'ip', table: 'filter', chain: 'mine', handle: 7, expr: [{ accept: null }] };

test('lines of the monitor are read, and those of others passed over', () => {
  const read = (value: unknown) => readNftEvent(JSON.stringify(value), names, ['FORWARD'])?.kind;
  expect(read({ add: { rule } })).toBe('rule added');
  expect(read({ insert: { rule } })).toBe('rule added');
  expect(read({ delete: { rule } })).toBe('rule deleted');
  expect(read({ replace: { rule } })).toBe('gap');
  expect(read({ add: { rule: { ...rule, handle: 'x' } } })).toBe('gap');
  expect(read({ add: { chain: { family: 'ip', table: 'filter', name: 'mine' } } })).toBe('structure');
  expect(read({ delete: { table: { family: 'bridge', name: 'coolify_bridge' } } })).toBe('structure');
  expect(read({ insert: { rule: { ...rule, chain: 'FORWARD' } } })).toBe('elsewhere');
  expect(read({ add: { rule: { ...rule, chain: 'other' } } })).toBeUndefined();
  expect(readNftEvent('# ERROR: We lost some netlink events!', names)?.kind).toBe('gap');
  expect(readNftEvent('{"mine"', names)?.kind).toBe('gap');
});

test('everything is announced from the first moment on, also after the monitor was killed', async () => {
  await using cleanup = new AsyncDisposableStack();
  const filter = cleanup.use(await createPacketFilter(cleanup.use(await scratchFolder()).path));
  const path = process.env['PATH'];
  cleanup.defer(() => {
    process.env['PATH'] = path;
  });
  process.env['PATH'] = filter.path;
  const events: NftEvent[] = [];
  const states: boolean[] = [];
  const stop = new AbortController();
  const watching = watchNft(
    {
      ...{ names, elsewhere: [], log },
      onEvent: event => void events.push(event),
      onState: up => void states.push(up),
      backoff: { next: () => 0, reset: () => {} },
    },
    stop.signal,
  );
  await vi.waitFor(() => expect(states).toEqual([true]), 10_000);
  await filter.nft('add', 'table', 'bridge', 'coolify_bridge');
  await vi.waitFor(() => expect(events).toEqual([{ kind: 'structure' }]), 10_000);
  const { stdout } = await filter.netns.exec('sh', ['-c', 'readlink /proc/self/ns/net']);
  const own = stdout.trim();
  const script = `for p in /proc/[0-9]*; do [ "$(readlink $p/ns/net 2>/dev/null)" = "${own}" ] && grep -qa monitor $p/cmdline && [ "$(cat $p/comm)" = nft ] && kill -9 "$(basename $p)"; done; true`;
  await filter.netns.exec('sh', ['-c', script]);
  await vi.waitFor(() => expect(states).toEqual([true, false, true]), 10_000);
  await filter.nft('add', 'chain', 'bridge', 'coolify_bridge', 'x');
  await vi.waitFor(() => expect(events).toHaveLength(2), 10_000);
  stop.abort();
  await watching;
});
