import { createLogger } from '@coold/runtime/logger';
import { scratchFolder } from '@coold/testbed';
import { createPacketFilter } from '@coold/testbed/packet-filter';
import { soon } from '@coold/testbed/soon';
import { expect, test } from 'vitest';
import type { NftEvent } from './nft-event.ts';
import { watchNft } from './nft-watch.ts';

const log = createLogger('coold', { level: 'off', components: new Map() }, false);
const names = ['mine', 'coolify_bridge'];
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
      names,
      elsewhere: [],
      log,
      onEvent(event) {
        if (event.kind !== 'transaction') events.push(event);
      },
      onState: up => void states.push(up),
      backoff: { next: () => 0, reset: () => {} },
    },
    stop.signal,
  );
  await soon(() => expect(states).toEqual([true]));
  await filter.nft('add', 'table', 'bridge', 'coolify_bridge');
  await soon(() => expect(events).toEqual([{ kind: 'structure', object: 'table' }]));
  const { stdout } = await filter.netns.exec('sh', ['-c', 'readlink /proc/self/ns/net']);
  const own = stdout.trim();
  const script = `for p in /proc/[0-9]*; do [ "$(readlink $p/ns/net 2>/dev/null)" = "${own}" ] && grep -qa monitor $p/cmdline && [ "$(cat $p/comm)" = nft ] && kill -9 "$(basename $p)"; done; true`;
  await filter.netns.exec('sh', ['-c', script]);
  await soon(() => expect(states).toEqual([true, false, true]));
  await filter.nft('add', 'chain', 'bridge', 'coolify_bridge', 'x');
  await soon(() => expect(events).toHaveLength(2));
  stop.abort();
  await watching;
});

test('elements are announced also after the set that they are in was added again', async () => {
  await using cleanup = new AsyncDisposableStack();
  const filter = cleanup.use(await createPacketFilter(cleanup.use(await scratchFolder()).path));
  const path = process.env['PATH'];
  cleanup.defer(() => {
    process.env['PATH'] = path;
  });
  process.env['PATH'] = filter.path;
  const ofElements: NftEvent[] = [];
  let up = false;
  const stop = new AbortController();
  const watching = watchNft(
    {
      names,
      elsewhere: [],
      log,
      onEvent(event) {
        if (event.kind.startsWith('element ')) ofElements.push(event);
      },
      onState(now) {
        up = now;
      },
      backoff: { next: () => 60_000, reset: () => {} },
    },
    stop.signal,
  );
  await soon(() => expect(up).toBe(true));
  const scaffold = [
    'add table inet mine',
    'add set inet mine networks { type ipv4_addr; flags interval; }',
    'flush set inet mine networks',
    'add element inet mine networks { 10.210.0.0/16 }',
    'add chain inet mine forward',
    'flush chain inet mine forward',
    'add rule inet mine forward icmp type { echo-request, echo-reply } accept',
  ];
  const apply = () =>
    filter.netns.exec('nft', ['-f', '-'], { input: scaffold.map(line => `${line}\n`).join('') });
  for (let times = 0; times < 3; times += 1) await apply();
  await soon(async () => {
    ofElements.length = 0;
    await filter.nft('flush', 'set', 'inet', 'mine', 'networks');
    await filter.nft('add', 'element', 'inet', 'mine', 'networks', '{ 10.210.0.0/16 }');
    await soon(
      () => expect(ofElements.map(({ kind }) => kind)).toEqual(['element deleted', 'element added']),
      { timeout: 500 },
    );
  });
  stop.abort();
  await watching;
});
