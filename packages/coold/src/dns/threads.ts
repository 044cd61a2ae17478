import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Address } from '@coold/runtime';
import { closeOnExec, nonBlocking } from './datagram-sockets.ts';
import type { Libc } from './libc.ts';
import { createZoneTeacher } from './teach-zone.ts';
import type { FromThread, ThreadSetup, ToThread } from './thread-messages.ts';
import type { Listener } from './udp-listener.ts';
import type { PlacedUpstream } from './upstream-health.ts';
import type { Zone } from './zone.ts';

/** Threads that answer over UDP beside this one. */
export interface DnsThreads {
  /** One for each thread. @param namespace by its place in the configuration */
  listeners(namespace: number): ((address: Address) => Promise<Listener>)[];
  /** Something in the zone may have changed. */
  changed(): void;
  /** From now on these are asked. */
  use(upstreams: readonly PlacedUpstream[]): void;
  /** Rejects when one of them ends by itself. */
  broken: Promise<never>;
  close(): Promise<void>;
}

const listenTimeoutMs = 10_000;
/** It has nothing to do but to close its sockets. */
const endTimeoutMs = 2000;
/** Far more than one needs: what it knows of the zone is bounded, and what it has in hand too. */
const resourceLimits = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4 };
/** Beside this file, as the source has it and as the package does. */
const threadFile = new URL(`./dns-thread${extname(import.meta.filename)}`, import.meta.url);

export interface ThreadsOptions {
  count: number;
  setup: Omit<ThreadSetup, 'wakeFd' | 'isShared'>;
  zone: Pick<Zone, 'find'>;
  libc: Libc;
}

/** @throws Error when the system has no more descriptors */
export function startThreads({ count, setup, zone, libc }: ThreadsOptions): DnsThreads {
  const broken = Promise.withResolvers<never>();
  // Whoever waits for it sees it too.
  broken.promise.catch(() => {});
  const threads = Array.from({ length: count }, () =>
    startThread({ ...setup, isShared: count > 1 }, zone, libc, broken.reject),
  );
  return {
    listeners: namespace =>
      threads.map(
        ({ listen }) =>
          address =>
            listen(namespace, address),
      ),
    changed() {
      for (const { teacher } of threads) teacher.changed();
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
  setup: Omit<ThreadSetup, 'wakeFd'>,
  zone: Pick<Zone, 'find'>,
  libc: Libc,
  onBroken: (error: Error) => void,
) {
  const wakeFd = libc.eventfd(0, nonBlocking | closeOnExec);
  if (wakeFd < 0) throw new Error('no descriptor to wake a thread with is to be had');
  const workerData: ThreadSetup = { ...setup, wakeFd };
  const worker = new Worker(threadFile, { name: 'dns', workerData, resourceLimits });
  const exited = new Promise<void>(resolve => worker.once('exit', () => resolve()));
  const tell = (message: ToThread) => {
    worker.postMessage(message);
    libc.eventfd_write(wakeFd, 1n);
  };
  const teacher = createZoneTeacher(zone, {
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
        teacher.asked(message.name);
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
    teacher,
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
      teacher.close();
      tell({ kind: 'end' });
      const late = setTimeout(() => void worker.terminate(), endTimeoutMs);
      await exited;
      clearTimeout(late);
      libc.close(wakeFd);
    },
  };
}

type Remote = ReturnType<typeof createRemote>;

/** A listener of another thread: first it is waited for, later it may fail. */
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
