import { networkInterfaces } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type Address, type Backoff, createBackoff, type Logger, type Task } from '@coold/runtime';
import type { AnswerPacket } from './answer.ts';
import { describeHolder, findPortHolders } from './port-holders.ts';
import { askSelf } from './self-query.ts';
import type { ServeQuery } from './serve-query.ts';
import { createSteadyBridge } from './steady-bridge.ts';
import { listenTcp } from './tcp-listener.ts';
import type { Listener } from './udp-listener.ts';

/** How a namespace's listener does, as stats tell it. */
export interface ListenerState {
  readonly namespace: string;
  readonly address: string;
  /** Clients there get this process's answers, as far as it can see. */
  bound: boolean;
  /** What is in the way. */
  problem: string | undefined;
}

/** Answers over UDP at an address; @throws Error with the system's code. */
export type ListenUdp = (address: Address) => Promise<Listener>;

export interface KeptListener {
  state: Readonly<ListenerState>;
  run: Task;
}

export interface KeepListenerOptions {
  namespace: string;
  address: Address;
  /** The zone's name on the wire. */
  zone: string;
  answerPacket: AnswerPacket;
  /** Of what comes over TCP. */
  serve: ServeQuery;
  /** Those that open a listener over UDP, one for each thread that answers; asked for anew whenever all are opened. */
  udp: () => readonly ListenUdp[];
  /** Tells what keeps clients' questions from arriving; a question of ours goes another way than theirs. Never rejects. */
  arrivals?: (host: string) => Promise<string | undefined>;
  log: Logger;
  backoff?: Backoff;
  /** Between two looks at whether clients are answered, in ms. */
  selfQueryEveryMs?: number;
  /** For each transport of such a look, in ms. */
  selfQueryTimeoutMs?: number;
  /** Called at every change of the state. */
  onChange?: (state: ListenerState) => void;
}

const noAddress = 'no interface has the address: its bridge is not up';

/** How often an address that is gone is looked for, in ms: the first container on a bridge asks as soon as it is up. */
const addressCheckMs = 250;

/**
 * Answers on a namespace's gateway over UDP and TCP, and sees to it that clients there are answered by this process
 * (docs/contract.md §6). Bridges come and go with the containers on them: what fails is tried again, for as long as it
 * takes.
 */
export function keepListener(options: KeepListenerOptions): KeptListener {
  const { namespace, address, log, onChange, selfQueryEveryMs = 10_000, selfQueryTimeoutMs = 2000 } = options;
  const backoff = options.backoff ?? createBackoff({ firstMs: 1000, maxMs: 30_000 });
  const at = `${address.host}:${address.port}`;
  const keepLinkAddress = createSteadyBridge(address.host, log);
  const state: ListenerState = { namespace, address: address.host, bound: false, problem: undefined };

  function become(problem: string | undefined): void {
    const before = { ...state };
    state.bound = problem === undefined;
    state.problem = problem;
    if (before.bound === state.bound && before.problem === problem) return;
    onChange?.(state);
    if (problem === undefined) log.info({ namespace, address: at }, 'answering DNS');
    else log.warn({ namespace, address: at, reason: problem }, 'DNS is not answered here; trying again');
  }

  /** Tries until it succeeds; at once when an address that was missing appears. */
  async function open(stop: AbortSignal): Promise<Sockets | undefined> {
    while (!stop.aborted) {
      try {
        return await openSockets(options);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        const isMissing = code === 'EADDRNOTAVAIL';
        if (code === 'EADDRINUSE') become(await explain('the port is taken', address));
        else become(isMissing ? noAddress : message);
        await pause(backoff.next(), stop, isMissing ? () => hasAddress(address.host) : undefined);
      }
    }
    return undefined;
  }

  /** Serves for as long as this process is who answers. */
  async function serve(sockets: Sockets, stop: AbortSignal): Promise<void> {
    const either = AbortSignal.any([sockets.failed, stop]);
    for (;;) {
      await keepLinkAddress();
      const problem = await lookTwice(sockets, stop);
      const heldBack = problem === undefined ? await options.arrivals?.(address.host) : undefined;
      if (stop.aborted) return;
      become(problem ?? heldBack);
      if (problem !== undefined) {
        // Still open meanwhile: if it is only the question that does not arrive, clients are answered.
        if (problem !== noAddress) await pause(backoff.next(), stop);
        return;
      }
      backoff.reset();
      await pause(selfQueryEveryMs, either);
      if (stop.aborted) return;
      if (sockets.failed.aborted) {
        become(String((sockets.failed.reason as Error).message));
        return;
      }
    }
  }

  /** One lost packet on a busy host is no verdict. */
  async function lookTwice(
    { address: own, udpThreads }: Sockets,
    stop: AbortSignal,
  ): Promise<string | undefined> {
    for (let look = 0; ; look += 1) {
      const verdict = await askSelf(own, options.zone, options.answerPacket, selfQueryTimeoutMs, udpThreads);
      if (verdict.kind === 'well' || stop.aborted) return undefined;
      if (look === 0) continue;
      switch (verdict.kind) {
        case 'foreign':
          return explain(`something else answers over ${verdict.transport}`, own);
        case 'silent':
          return hasAddress(own.host)
            ? explain(`deaf over ${verdict.transport}: ${verdict.reason}`, own)
            : noAddress;
      }
    }
  }

  return {
    state,
    async run(stop) {
      while (!stop.aborted) {
        const sockets = await open(stop);
        if (sockets === undefined) return;
        try {
          await serve(sockets, stop);
        } finally {
          sockets.close();
        }
      }
    },
  };
}

interface Sockets {
  /** The port that it got, where any would do. */
  address: Address;
  /** That listen over UDP. */
  udpThreads: number;
  /** Aborts when one of them broke by itself; its reason is the error. */
  failed: AbortSignal;
  close(): void;
}

/** Both transports and all threads, or none. */
async function openSockets({ address, serve, udp }: KeepListenerOptions): Promise<Sockets> {
  // Alone at its address, whatever may be shared over UDP: what else wants to be there is found out by it.
  const open: Listener[] = [await listenTcp(address, serve)];
  const close = () => {
    for (const listener of open) listener.close();
  };
  const at = { host: address.host, port: open[0]?.port ?? address.port };
  try {
    for (const listen of udp()) open.push(await listen(at));
  } catch (error) {
    close();
    throw error;
  }
  const failed = AbortSignal.any(open.map(listener => listener.failed));
  return { address: at, udpThreads: open.length - 1, failed, close };
}

async function explain(what: string, { host, port }: Address): Promise<string> {
  const holders = await findPortHolders(host, port);
  return holders.length === 0 ? what : `${what}; in the way: ${holders.map(describeHolder).join('; ')}`;
}

function hasAddress(host: string): boolean {
  return Object.values(networkInterfaces()).some(addresses =>
    addresses?.some(({ address }) => address === host),
  );
}

/** Waits, at most until `isOver` says so. */
async function pause(ms: number, stop: AbortSignal, isOver?: () => boolean): Promise<void> {
  const end = performance.now() + ms;
  for (let left = ms; left > 0 && !stop.aborted; left = end - performance.now()) {
    const step = isOver === undefined ? left : Math.min(left, addressCheckMs);
    await delay(step, undefined, { signal: stop }).catch(() => {});
    if (isOver?.() === true) return;
  }
}
