import { type Logger, pause } from '@coold/runtime';
import type { WireguardPeer } from './host-facts.ts';
import { type Reach, reachOf } from './reach.ts';
import { createSilentPeers, type SilentPeer } from './silent-peers.ts';

/** WireGuard sends no events, so its peers are read at this interval, in ms. */
const defaultEveryMs = 10_000;

export interface MeshPeersOptions {
  /** Reads the peers of the mesh's interface. undefined: the interface does not exist. */
  readPeers(signal: AbortSignal): Promise<WireguardPeer[] | undefined>;
  /** Called at first and whenever the peers' networks have changed. An interface that disappears changes nothing. */
  onReach(reach: Reach): void;
  log: Logger;
  /** The interval of reads, in ms. */
  everyMs?: number;
}

/** The peers of the mesh's interface: which addresses lead to them, and which of them do not answer. */
export class MeshPeers {
  readonly #options: MeshPeersOptions;
  readonly #silent = createSilentPeers();
  readonly #firstLook = Promise.withResolvers<boolean>();
  /** The peers' networks as last reported. */
  #known: string | undefined;
  #reach: Reach | undefined;
  /** Resolves after the first try to read the peers, with whether they could be read. */
  readonly firstLook: Promise<boolean> = this.#firstLook.promise;

  constructor(options: MeshPeersOptions) {
    this.#options = options;
  }

  /** Whether any peer leads to an address. */
  has(address: string): boolean {
    return this.#reach?.(address) ?? false;
  }

  /** Returns the peers that packets are sent to and that do not answer. */
  silent(): readonly SilentPeer[] {
    return this.#silent.list();
  }

  /** Reads the peers at intervals until the signal aborts. Never rejects. */
  async watch(signal: AbortSignal): Promise<void> {
    const { readPeers, log, everyMs = defaultEveryMs } = this.#options;
    while (!signal.aborted) {
      try {
        this.#take(await readPeers(signal));
      } catch (error) {
        if (!signal.aborted) log.debug({ err: error }, 'the peers of the mesh cannot be read; trying again');
      }
      this.#firstLook.resolve(this.#known !== undefined);
      await pause(everyMs, signal);
    }
  }

  #take(peers: WireguardPeer[] | undefined): void {
    // An interface that does not exist has no peer that could answer.
    this.#silent.saw(peers ?? []);
    if (peers === undefined) return;
    const known = JSON.stringify(peers.map(({ allowedIps }) => allowedIps.toSorted()).sort());
    if (known === this.#known) return;
    this.#known = known;
    this.#reach = reachOf(peers);
    this.#options.onReach(this.#reach);
  }
}
