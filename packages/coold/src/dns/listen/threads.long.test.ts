import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ioHere, kinds, ownSockets } from '@coold/udp-io/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { askFor } from '../../../test/dns-questions.ts';
import { createQueryCounts, readCounts } from '../counts.ts';
import { createForwardingMemory } from '../forward/shared-forwarding.ts';
import { createHealthMemory } from '../forward/upstream-health.ts';
import { wireName } from '../zone/names.ts';
import type { Holding } from '../zone/zone.ts';
import { createZoneTimesMemory } from '../zone-times.ts';
import type { ThreadSetup } from './thread-messages.ts';
import { type DnsThreads, startThreads } from './threads.ts';

const host = `127.${randomInt(1, 255)}.${randomInt(256)}.1`;
const name = 'web.shop.coolify.internal';

let threads: DnsThreads | undefined;
afterEach(() => threads?.close());

function start(
  kind: 'ffi' | 'node',
  count: number,
  find: (name: string) => Holding = () => ({ kind: 'missing' }),
) {
  const setup = {
    zone: wireName('coolify.internal'),
    serial: 1,
    namespaces: ['shop'],
    upstreams: [],
    health: createHealthMemory(),
    counts: [createQueryCounts()],
    forwarding: createForwardingMemory(),
    zoneTimes: createZoneTimesMemory(),
  };
  threads = startThreads({ count, setup, zone: { find }, io: ioHere(kind) });
  return { setup, threads, listeners: threads.listeners(0) };
}

describe.each(kinds)('threads, by %s', kind => {
  it('share an address, answer from the published names, and are counted together', async () => {
    const asked: string[] = [];
    const { setup, listeners } = start(kind, 2, wanted => {
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

  it('answer from the published names, also while the main thread is busy', async () => {
    const endpoints = [{ address: '10.0.0.5', hostMgmtIp: '', containerId: '' }];
    const [listen] = start(kind, 1, () => ({ kind: 'endpoints', endpoints })).listeners;
    await listen?.({ host, port: 5305 });
    const query = askFor(name, 1);
    const first = createSocket('udp4');
    first.send(query, 5305, host);
    await once(first, 'message');
    first.close();
    const answered = new Int32Array(new SharedArrayBuffer(4));
    const client = new Worker(
      `const { workerData } = require('node:worker_threads');
       const socket = require('node:dgram').createSocket('udp4');
       socket.on('message', () => {
         Atomics.store(workerData.answered, 0, 1);
         Atomics.notify(workerData.answered, 0);
       });
       socket.send(workerData.query, 5305, workerData.host);`,
      { eval: true, workerData: { answered, query, host } },
    );
    // Nothing else runs in this thread before the answer is there.
    expect(Atomics.wait(answered, 0, 0, 20_000)).not.toBe('timed-out');
    await client.terminate();
  });

  it('leave their addresses when they are closed, and no socket behind', async () => {
    const before = await ownSockets();
    const { threads: started, listeners } = start(kind, 2);
    for (const listen of listeners) await listen({ host, port: 5303 });
    expect(await ownSockets()).toHaveLength(before.length + 2);
    await started.close();
    threads = undefined;
    expect(await ownSockets()).toEqual(before);
  });

  it('say why they cannot listen', async () => {
    const [listen] = start(kind, 1).listeners;
    const taken = createSocket('udp4');
    taken.bind(5301, host);
    await once(taken, 'listening');
    await expect(listen?.({ host, port: 5301 })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await expect(listen?.({ host: '::1', port: 5301 })).rejects.toThrow();
    const missing = listen?.({ host: '192.0.2.1', port: 5301 });
    // Its interface may be still to come.
    if (kind === 'ffi') (await missing)?.close();
    else await expect(missing).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    taken.close();
  });

  it('that end by themselves are reported, and nobody waits for them to listen', async () => {
    // No sound setup makes one end.
    const setup = {} as ThreadSetup;
    const zone = { find: (): Holding => ({ kind: 'missing' }) };
    threads = startThreads({ count: 1, setup, zone, io: ioHere(kind) });
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
    const { threads: started, listeners } = start(kind, 1, () => unsound);
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
