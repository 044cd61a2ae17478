// A thread that answers DNS over UDP on the gateways, beside the main one: it waits in epoll_wait(2), and what else coold
// does holds it up only where a name is new to it. It has no directory: of each name in the zone that it is asked for, it asks
// the main thread once, and is told of changes from then on. What it is asked for outside the zone it asks the upstream
// itself.
import { parentPort, workerData } from 'node:worker_threads';
import { createAnswerPacket } from './answer.ts';
import { createDatagramSockets } from './datagram-sockets.ts';
import { createEpollChannels } from './epoll-channel.ts';
import { createEpollListeners } from './epoll-listener.ts';
import { createEpollLoop } from './epoll-loop.ts';
import { createForwarder } from './forwarder.ts';
import { createForwarding } from './forwarding.ts';
import { createLearnedZone } from './learned-zone.ts';
import { loadLibc } from './libc.ts';
import { createListenerAskings } from './listener-asking.ts';
import { createServeQuery } from './serve-query.ts';
import type { FromThread, ThreadSetup, ToThread } from './thread-messages.ts';
import { type Listener, socketBufferBytes } from './udp-listener.ts';
import { createUpstreamHealth } from './upstream-health.ts';

const { zone, namespaces, serial, counts, wakeFd, isShared, ...setup } = workerData as ThreadSetup;
const libc = loadLibc();
if (libc === undefined) throw new Error('the C library that the main thread has cannot be called here');
const tell = (message: FromThread) => parentPort?.postMessage(message);
const learned = createLearnedZone(zone, namespaces, name => tell({ kind: 'ask', name }));
const answerPacket = createAnswerPacket(learned, serial);
const sockets = createDatagramSockets(libc, socketBufferBytes);
/** What has just begun to wait does so for longer than a turn without anything that waits. */
const turnMs = () => (forwarder.stats().waiting > 0 || learned.isWaiting() ? 100 : 1000);
const loop = createEpollLoop({ libc, wakeFd, turnMs });
const forwarding = createForwarding(setup.forwarding);
const forwarder = createForwarder({
  ...{ upstreams: setup.upstreams, forwarding, health: createUpstreamHealth(setup.health) },
  openChannel: createEpollChannels(libc, sockets, loop),
});
const serves = createListenerAskings(counts, forwarder, forwarding).map(({ asking, counts: own }) =>
  createServeQuery(answerPacket, asking, forwarder.isOwn, own),
);
const listenUdp = createEpollListeners(libc, sockets, loop);
/** Those that are being opened, too: closed meanwhile, they are closed once they are open. */
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
    const opened = await listenUdp(address, serve, isShared);
    if (!listeners.has(listener)) return opened.close();
    listeners.set(listener, opened);
    const broke = () => {
      // Nobody else does: it is not known by its number any more, and would go on being given a share of the questions.
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
      learned.told(message.names);
      return;
    case 'forget':
      learned.forget();
      return;
    case 'upstreams':
      forwarder.use(message.upstreams);
      return;
    case 'end':
      process.exit(0);
  }
});
// Of itself too, when something breaks: coold takes its time to end, and so long nobody else could have the addresses.
process.once('exit', loop.close);
loop.start();
