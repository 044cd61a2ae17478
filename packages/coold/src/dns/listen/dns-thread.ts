// A thread that answers DNS over UDP on the gateways, so that other work of coold delays it only for names that are new
// to it. It has no directory: it asks the main thread once for each name of the zone, and is sent later changes. Names
// outside the zone it forwards itself.
import { parentPort, workerData } from 'node:worker_threads';
import { openUdp } from '@coold/udp-io';
import { createForwarder } from '../forward/forwarder.ts';
import { createListenerAskings } from '../forward/listener-asking.ts';
import { createSharedForwarding } from '../forward/shared-forwarding.ts';
import { createUpstreamHealth } from '../forward/upstream-health.ts';
import { createAnswerPacket } from '../zone/answer.ts';
import { createZoneCache } from '../zone/zone-cache.ts';
import { createZoneTimes } from '../zone-times.ts';
import { createServeQuery } from './serve-query.ts';
import type { FromThread, ThreadSetup, ToThread } from './thread-messages.ts';
import { type Listener, listenUdp } from './udp-listener.ts';

const { zone, namespaces, serial, counts, io, isShared, ...setup } = workerData as ThreadSetup;
const tell = (message: FromThread) => parentPort?.postMessage(message);
const cachedZone = createZoneCache(zone, namespaces, name => tell({ kind: 'ask', name }));
const answerPacket = createAnswerPacket(cachedZone, serial);
/** Timers are checked once per turn, so turns are short while something waits. A wait may begin in a long turn. */
const turnMs = () => (forwarder.stats().waiting > 0 || cachedZone.isWaiting() ? 100 : 1000);
const udp = openUdp(io, turnMs);
const forwarding = createSharedForwarding(setup.forwarding);
const forwarder = createForwarder({
  upstreams: setup.upstreams,
  forwarding,
  health: createUpstreamHealth(setup.health),
  connect: udp.connect,
});
const times = createZoneTimes(setup.zoneTimes);
const serves = createListenerAskings(counts, forwarder, forwarding).map(({ asking, counts: own }) =>
  createServeQuery(answerPacket, asking, forwarder, own, times),
);
/** Includes listeners that are being opened. One that is closed meanwhile is closed once it is open. */
const listeners = new Map<number, Listener | 'opening'>();

async function listen({ listener, namespace, address }: ToThread & { kind: 'listen' }): Promise<void> {
  const failed = (error: NodeJS.ErrnoException) => {
    listeners.delete(listener);
    tell({ kind: 'failed', listener, message: error.message, code: error.code });
  };
  const serve = serves[namespace];
  if (serve === undefined) return failed(new Error(`no namespace ${namespace}`));
  listeners.set(listener, 'opening');
  try {
    const opened = await listenUdp(udp.bind, address, isShared, serve);
    if (!listeners.has(listener)) return opened.close();
    listeners.set(listener, opened);
    const broke = () => {
      // It has to be closed here: nothing else knows it, and the kernel would keep sending it a share of the questions.
      opened.close();
      failed(opened.failed.reason as Error);
    };
    opened.failed.addEventListener('abort', broke, { once: true });
    tell({ kind: 'listening', listener, port: opened.port });
  } catch (error) {
    failed(error as Error);
  }
}

parentPort?.on('message', (message: ToThread) => {
  switch (message.kind) {
    case 'listen':
      void listen(message);
      return;
    case 'close': {
      const listener = listeners.get(message.listener);
      listeners.delete(message.listener);
      if (listener !== undefined && listener !== 'opening') listener.close();
      return;
    }
    case 'told':
      cachedZone.told(message.names);
      return;
    case 'forget':
      cachedZone.forget();
      return;
    case 'upstreams':
      forwarder.use(message.upstreams);
      return;
    case 'end':
      process.exit(0);
  }
});
// Also after a failure: until coold has ended, no other program could use the addresses.
process.once('exit', udp.close);
