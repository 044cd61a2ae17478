import {
  type Address,
  type Backoff,
  createBackoff,
  describeHolder,
  errorMessage,
  findPortHolders,
  type Logger,
  type Task,
} from '@coold/runtime';
import { pause } from '@coold/runtime/pause';
import type { AnswerPacket } from '../zone/answer.ts';
import type { HostAddresses } from './host-addresses.ts';
import { askSelf } from './self-query.ts';
import type { ServeQuery } from './serve-query.ts';
import { createSteadyBridge } from './steady-bridge.ts';
import { listenTcp, type TcpOptions } from './tcp-listener.ts';
import type { Listener } from './udp-listener.ts';

/** A namespace listener's state, as stats show it. */
export interface ListenerState {
  readonly namespace: string;
  readonly address: string;
  /**
   * Whether clients get this process's answers, as far as it can tell; also true while there can be no clients, because
   * no bridge has the address.
   */
  bound: boolean;
  /** What prevents that. */
  problem: string | undefined;
}

/** Answers over UDP at an address. @throws Error with the system's code */
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
  /** Answers queries that come over TCP. */
  serve: ServeQuery;
  /** Returns functions that open a UDP listener, one per answering thread. Called again whenever all are opened. */
  udp: () => readonly ListenUdp[];
  /** Returns a TCP socket bound to the address before an interface has it; when undefined, Node binds once one has it. */
  bindTcp?: TcpOptions['bind'];
  /** Shared by this host's listeners. */
  linkOf: HostAddresses;
  /**
   * Describes what keeps clients' questions from arriving, because our own questions take another path. Never rejects.
   */
  arrivals?: ((host: string) => Promise<string | undefined>) | undefined;
  log: Logger;
  backoff?: Backoff;
  /** The interval of checks whether clients are answered, in ms. */
  selfQueryEveryMs?: number;
  /** The timeout per transport of such a check, in ms. */
  selfQueryTimeoutMs?: number;
  /** Called at every change of the state. */
  onChange?: (state: ListenerState) => void;
}

const noAddress = 'no interface has the address: its bridge is not up';

/** How often to check whether a bridge came or went, in ms. */
const bridgeCheckMs = 250;

/** Whether clients are answered. Each check may turn any of these into any other. */
type Standing =
  /** This process has answered our own question. */
  | { kind: 'answering' }
  /** The sockets are open, and the bridge with the clients does not exist now. */
  | { kind: 'ahead' }
  /** The sockets work, and something keeps clients' questions from them. */
  | { kind: 'unheard'; problem: string }
  /** There are no sockets, or another process answers. */
  | { kind: 'failing'; problem: string };

/** Returns what answers on a gateway over UDP and TCP; `run` makes it serve. */
export function keepListener(options: KeepListenerOptions): KeptListener {
  const keeper = new ListenerKeeper(options);
  return { state: keeper.state, run: stop => keeper.run(stop) };
}

/**
 * Answers on a gateway over UDP and TCP, and verifies that clients there are answered by this process (docs/contract.md
 * §6). Bridges come and go with their containers. The sockets are bound before the bridge exists and stay when it goes,
 * so a first container's first question is answered. Where only Node opens sockets (no `node:ffi`), it cannot bind to
 * an address that no interface has: it retries as soon as one has it, so a first question may be lost and is repeated
 * by the client.
 */
class ListenerKeeper {
  readonly state: ListenerState;
  readonly #options: KeepListenerOptions;
  readonly #backoff: Backoff;
  /** Keeps the bridge's link address, which clients have in their neighbour caches. */
  readonly #keepLinkAddress: () => Promise<void>;
  /** The last reported state; undefined before the first. */
  #standing: Standing | undefined;

  constructor(options: KeepListenerOptions) {
    const { namespace, address, linkOf, log } = options;
    this.#options = options;
    this.#backoff = options.backoff ?? createBackoff({ firstMs: 1000, maxMs: 30_000 });
    this.#keepLinkAddress = createSteadyBridge(address.host, linkOf, log);
    this.state = { namespace, address: address.host, bound: false, problem: undefined };
  }

  /** Opens the sockets and serves, again whenever they break, until `stop`. Never rejects. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const sockets = await this.#open(stop);
      if (sockets === undefined) return;
      try {
        await this.#serve(sockets, stop);
      } finally {
        sockets.close();
      }
    }
  }

  /** Retries until it succeeds; at once when a missing address appears. @returns undefined once stopped */
  async #open(stop: AbortSignal): Promise<Sockets | undefined> {
    while (!stop.aborted) {
      try {
        return await openSockets(this.#options);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        const isMissing = code === 'EADDRNOTAVAIL';
        if (code === 'EADDRINUSE') this.#fail(await explain('the port is taken', this.#options.address));
        else this.#fail(isMissing ? noAddress : message);
        await pauseUntil(isMissing ? () => this.#hasBridge() : undefined, this.#backoff.next(), stop);
      }
    }
    return undefined;
  }

  /** Serves for as long as this process answers the clients. */
  async #serve(sockets: Sockets, stop: AbortSignal): Promise<void> {
    const { address, linkOf, selfQueryEveryMs = 10_000 } = this.#options;
    const either = AbortSignal.any([sockets.failed, stop]);
    for (;;) {
      const standing = this.#hasBridge() ? await this.#look(sockets, stop) : ({ kind: 'ahead' } as const);
      if (stop.aborted) return;
      this.#become(standing);
      const link = linkOf(address.host);
      switch (standing.kind) {
        case 'answering':
        case 'unheard':
          this.#backoff.reset();
          // Another link address: the bridge was created again, or took over a container's.
          await pauseUntil(() => linkOf(address.host) !== link, selfQueryEveryMs, either);
          break;
        // Our own question would leave by the default route now, and there is no client to answer.
        case 'ahead':
          this.#backoff.reset();
          await pauseUntil(() => this.#hasBridge(), Number.POSITIVE_INFINITY, either);
          break;
        case 'failing':
          // The sockets stay open: if only our own question does not arrive, clients are still answered.
          await pause(this.#backoff.next(), stop);
          return;
      }
      if (stop.aborted) return;
      if (sockets.failed.aborted) {
        this.#fail(errorMessage(sockets.failed.reason));
        return;
      }
    }
  }

  /** Checks whether clients are answered, on a bridge that exists. Never rejects. */
  async #look(sockets: Sockets, stop: AbortSignal): Promise<Standing> {
    const { address, arrivals } = this.#options;
    await this.#keepLinkAddress();
    const standing = await this.#askTwice(sockets, stop);
    if (standing.kind !== 'answering') return standing;
    const heldBack = await arrivals?.(address.host);
    return heldBack === undefined ? standing : { kind: 'unheard', problem: heldBack };
  }

  /** Asks this listener, twice when there is no answer: a busy host may lose one packet. */
  async #askTwice({ address: own, udpThreads }: Sockets, stop: AbortSignal): Promise<Standing> {
    const { zone, answerPacket, selfQueryTimeoutMs = 2000 } = this.#options;
    for (let look = 0; ; look += 1) {
      const verdict = await askSelf(own, zone, answerPacket, selfQueryTimeoutMs, udpThreads);
      if (verdict.kind === 'well' || stop.aborted) return { kind: 'answering' };
      if (!this.#hasBridge()) return { kind: 'ahead' };
      if (look === 0) continue;
      const problem =
        verdict.kind === 'foreign'
          ? `something else answers over ${verdict.transport}`
          : `deaf over ${verdict.transport}: ${verdict.reason}`;
      return { kind: 'failing', problem: await explain(problem, own) };
    }
  }

  #hasBridge(): boolean {
    return this.#options.linkOf(this.#options.address.host) !== undefined;
  }

  #fail(problem: string): void {
    this.#become({ kind: 'failing', problem });
  }

  /** Makes, logs and reports every change of state. */
  #become(standing: Standing): void {
    const { namespace, address, log, onChange } = this.#options;
    const problem = 'problem' in standing ? standing.problem : undefined;
    if (this.#standing?.kind === standing.kind && this.state.problem === problem) return;
    this.#standing = standing;
    this.state.bound = problem === undefined;
    this.state.problem = problem;
    onChange?.(this.state);
    const at = `${address.host}:${address.port}`;
    switch (standing.kind) {
      case 'answering':
        log.info({ namespace, address: at }, 'answering DNS');
        return;
      case 'ahead':
        log.info({ namespace, address: at }, 'DNS is ready here, and will be answered once the bridge is up');
        return;
      case 'unheard':
      case 'failing':
        log.warn({ namespace, address: at, reason: problem }, 'DNS is not answered here; trying again');
    }
  }
}

interface Sockets {
  /** The address with the actual port, where any port would do. */
  address: Address;
  /** The number of threads that listen over UDP. */
  udpThreads: number;
  /** Aborts when a socket broke by itself; its reason is the error. */
  failed: AbortSignal;
  close(): void;
}

/** Opens both transports and all threads, or none. */
async function openSockets({ address, serve, udp, bindTcp }: KeepListenerOptions): Promise<Sockets> {
  // TCP is not shared, so another program at the address is detected by it.
  const open: Listener[] = [await listenTcp(address, serve, { bind: bindTcp })];
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

/** Waits for `ms`, or until `isOver` returns true, which is checked every 250 ms. Never rejects. */
async function pauseUntil(isOver: (() => boolean) | undefined, ms: number, stop: AbortSignal): Promise<void> {
  const end = performance.now() + ms;
  for (let left = ms; left > 0 && !stop.aborted; left = end - performance.now()) {
    await pause(isOver === undefined ? left : Math.min(left, bridgeCheckMs), stop);
    if (isOver?.() === true) return;
  }
}
