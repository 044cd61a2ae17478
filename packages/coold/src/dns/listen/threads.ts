import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Address } from '@coold/runtime';
import type { UdpIo } from '@coold/udp-io';
import type { PlacedUpstream } from '../forward/upstream-health.ts';
import type { Zone } from '../zone/zone.ts';
import { createZonePublisher } from '../zone/zone-publisher.ts';
import type { FromThread, ThreadSetup, ToThread } from './thread-messages.ts';
import type { Listener } from './udp-listener.ts';

/** Threads that answer over UDP in addition to the main one. */
export interface DnsThreads {
  /** Returns one function per thread. @param namespace its index in the configuration */
  listeners(namespace: number): ((address: Address) => Promise<Listener>)[];
  /** Call when something in the zone may have changed. */
  changed(): void;
  /** Sets the upstreams to ask from now on. */
  use(upstreams: readonly PlacedUpstream[]): void;
  /** Rejects when a thread ends by itself. */
  broken: Promise<never>;
  close(): Promise<void>;
}

const listenTimeoutMs = 10_000;
/** It only has to close its sockets. */
const endTimeoutMs = 2000;
/** Far more than a thread needs: its cache of the zone and its pending work are bounded. */
const resourceLimits = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4 };
/** Beside this file, both in the source tree and in the package. */
const threadFile = new URL(`./dns-thread${extname(import.meta.filename)}`, import.meta.url);

export interface ThreadsOptions {
  count: number;
  setup: Omit<ThreadSetup, 'io' | 'isShared'>;
  zone: Pick<Zone, 'find'>;
  io: UdpIo;
}

/** @throws Error when the system has no more descriptors */
export function startThreads({ count, setup, zone, io }: ThreadsOptions): DnsThreads {
  const broken = Promise.withResolvers<never>();
  // Callers that await it see the rejection too.
  broken.promise.catch(() => {});
  const threads = Array.from({ length: count }, () =>
    startThread({ ...setup, isShared: count > 1 }, zone, io, broken.reject),
  );
  return {
    listeners: namespace =>
      threads.map(
        ({ listen }) =>
          address =>
            listen(namespace, address),
      ),
    changed() {
      for (const { publisher } of threads) publisher.changed();
    },
    use(upstreams) {
      for (const { use } of threads) use(upstreams);
    },
    broken: broken.promise,
    async close() {
      await Promise.all(threads.map(thread => thread.close()));
    },
  };
}

function startThread(
  setup: Omit<ThreadSetup, 'io'>,
  zone: Pick<Zone, 'find'>,
  io: UdpIo,
  onBroken: (error: Error) => void,
) {
  const waker = io.createWaker();
  const workerData: ThreadSetup = { ...setup, io: waker.io };
  const worker = new Worker(threadFile, { name: 'dns', workerData, resourceLimits });
  const exited = new Promise<void>(resolve => worker.once('exit', () => resolve()));
  const tell = (message: ToThread) => {
    worker.postMessage(message);
    waker.wake();
  };
  const publisher = createZonePublisher(zone, {
    told: names => tell({ kind: 'told', names }),
    forget: () => tell({ kind: 'forget' }),
  });
  const remotes = new Map<number, Remote>();
  let count = 0;
  let isClosed = false;
  let ended: Error | undefined;

  worker.on('message', (message: FromThread) => {
    switch (message.kind) {
      case 'ask':
        publisher.asked(message.name);
        return;
      case 'listening':
        remotes.get(message.listener)?.listening(message.port);
        return;
      case 'failed':
        remotes
          .get(message.listener)
          ?.failed(Object.assign(new Error(message.message), { code: message.code }));
    }
  });
  worker.on('error', error => onBroken(error as Error));
  worker.on('exit', code => {
    ended = new Error(`a thread that answers DNS ended, code ${code}`);
    for (const remote of remotes.values()) remote.failed(ended);
    if (!isClosed) onBroken(ended);
  });

  return {
    publisher,
    use(upstreams: readonly PlacedUpstream[]) {
      if (!isClosed && ended === undefined) tell({ kind: 'upstreams', upstreams });
    },
    async listen(namespace: number, address: Address): Promise<Listener> {
      if (ended !== undefined) throw ended;
      const listener = count;
      count += 1;
      const close = () => {
        remotes.delete(listener);
        if (!isClosed) tell({ kind: 'close', listener });
      };
      const remote = createRemote();
      remotes.set(listener, remote);
      tell({ kind: 'listen', listener, namespace, address });
      const late = setTimeout(
        () => remote.failed(new Error(`a thread did not listen within ${listenTimeoutMs} ms`)),
        listenTimeoutMs,
      );
      try {
        const port = await remote.opened;
        return { port, failed: remote.signal, close };
      } catch (error) {
        close();
        throw error;
      } finally {
        clearTimeout(late);
      }
    },
    async close() {
      isClosed = true;
      publisher.close();
      tell({ kind: 'end' });
      const late = setTimeout(() => void worker.terminate(), endTimeoutMs);
      await exited;
      clearTimeout(late);
      waker.close();
    },
  };
}

type Remote = ReturnType<typeof createRemote>;

/** A listener of another thread: callers first wait for it, and it may fail later. */
function createRemote() {
  const { promise: opened, resolve: listening, reject } = Promise.withResolvers<number>();
  const broken = new AbortController();
  return {
    opened,
    listening,
    signal: broken.signal,
    failed(error: Error) {
      reject(error);
      broken.abort(error);
    },
  };
}
