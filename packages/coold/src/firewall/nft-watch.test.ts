import { createLogger } from '@coold/runtime';
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
      ...{ names, elsewhere: [], log },
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
  await soon(() => expect(events).toEqual([{ kind: 'structure' }]));
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
