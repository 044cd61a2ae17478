import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { createQueryCounts, readCounts } from './counts.ts';
import { createForwardingMemory } from './forwarding.ts';
import { wireName } from './names.ts';
import { askFor, libcHere, ownSockets } from './testing.ts';
import type { ThreadSetup } from './thread-messages.ts';
import { type DnsThreads, startThreads } from './threads.ts';
import { createHealthMemory } from './upstream-health.ts';
import type { Holding } from './zone.ts';

const host = `127.${randomInt(1, 255)}.${randomInt(256)}.1`;
const name = 'web.shop.coolify.internal';

let threads: DnsThreads | undefined;
afterEach(() => threads?.close());

function start(count: number, find: (name: string) => Holding = () => ({ kind: 'missing' })) {
  const setup = {
    zone: wireName('coolify.internal'),
    serial: 1,
    namespaces: ['shop'],
    upstreams: [],
    health: createHealthMemory(),
    counts: [createQueryCounts()],
    forwarding: createForwardingMemory(),
  };
  threads = startThreads({ count, setup, zone: { find }, libc: libcHere() });
  return { setup, threads, listeners: threads.listeners(0) };
}

describe('threads', () => {
  it('share an address, answer from what they are told, and are counted together', async () => {
    const asked: string[] = [];
    const { setup, listeners } = start(2, wanted => {
      asked.push(wanted);
      return { kind: 'endpoints', endpoints: [{ address: '10.0.0.5', hostMgmtIp: '', containerId: '' }] };
    });
    const [first, second] = await Promise.all(listeners.map(listen => listen({ host, port: 5300 })));
    expect([first?.port, second?.port]).toEqual([5300, 5300]);
    const query = askFor(name, 1);
    // So many clients that the kernel gives some of them to each.
    await Promise.all(
      Array.from({ length: 40 }, async () => {
        const socket = createSocket('udp4');
        socket.send(query, 5300, host);
        const [answer] = (await once(socket, 'message')) as [Buffer];
        expect([...answer.subarray(-4)]).toEqual([10, 0, 0, 5]);
        socket.close();
      }),
    );
    expect(asked).toEqual([wireName(name), wireName(name)]);
    expect(readCounts(setup.counts[0] ?? createQueryCounts())).toEqual([{ rcode: 'NOERROR', queries: 40 }]);
    first?.close();
    second?.close();
  });

  it('leave their addresses when they are closed, and no socket behind', async () => {
    const before = await ownSockets();
    const { threads: started, listeners } = start(2);
    for (const listen of listeners) await listen({ host, port: 5303 });
    expect(await ownSockets()).toHaveLength(before.length + 2);
    await started.close();
    threads = undefined;
    expect(await ownSockets()).toEqual(before);
  });

  it('say why they cannot listen', async () => {
    const [listen] = start(1).listeners;
    const taken = createSocket('udp4');
    taken.bind(5301, host);
    await once(taken, 'listening');
    await expect(listen?.({ host, port: 5301 })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await expect(listen?.({ host: '192.0.2.1', port: 5301 })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
    });
    taken.close();
  });

  it('that end by themselves are reported, and nobody waits for them to listen', async () => {
    // No sound setup makes one end.
    const setup = {} as ThreadSetup;
    const zone = { find: (): Holding => ({ kind: 'missing' }) };
    threads = startThreads({ count: 1, setup, zone, libc: libcHere() });
    const [listen] = threads.listeners(0);
    const listening = expect(listen?.({ host, port: 5302 })).rejects.toThrow('ended');
    await expect(threads.broken).rejects.toThrow(TypeError);
    await listening;
    await expect(listen?.({ host, port: 5302 })).rejects.toThrow('ended');
  });

  it('that break down leave no socket behind either', async () => {
    const before = await ownSockets();
    // No sound directory makes one break down.
    const unsound = { kind: 'endpoints', endpoints: { map: () => 'no list' } } as unknown as Holding;
    const { threads: started, listeners } = start(1, () => unsound);
    for (const listen of listeners) await listen({ host, port: 5304 });
    const socket = createSocket('udp4');
    socket.send(askFor('web.shop.coolify.internal', 1), 5304, host);
    await expect(started.broken).rejects.toThrow(TypeError);
    await started.close();
    threads = undefined;
    socket.close();
    await once(socket, 'close');
    expect(await ownSockets()).toEqual(before);
  });
});
