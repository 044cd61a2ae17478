import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { digestTables } from './legacy-digest.ts';
import { readLegacyTables } from './legacy-tables.ts';
import type { NetlinkSocket, OpenNetlink } from './netlink-socket.ts';
import { nextGeneration, readGeneration } from './read-generation.ts';
import type { ReadXtTable } from './xt-socket.ts';

/** The state of the packet filter at one time. */
export interface Moment {
  /** The generation of nf_tables, which each transaction increases. */
  generation: number;
  /** A digest of the iptables-legacy tables, where iptables uses them, and of which programs iptables and nft are. */
  beside: string;
}

/** The packet filter's state as the kernel reports it, without starting a program. */
export interface KernelView {
  /**
   * Returns the current state: between two equal states no program changed anything. Counters are not part of it, nor
   * are elements that the kernel itself adds to sets.
   *
   * @returns undefined when the kernel cannot tell, so that only a listing can. Never rejects.
   */
  moment(): Promise<Moment | undefined>;
  /** Asks the kernel a question. @returns undefined when it cannot be asked @throws what `question` throws */
  ask<T>(question: (socket: NetlinkSocket) => Promise<T>): Promise<{ answer: T } | undefined>;
}

export function isSameMoment(one: Moment | undefined, other: Moment | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  return one.generation === other.generation && one.beside === other.beside;
}

/** Whether at most one transaction of nf_tables lies between two states. */
export function isNextOrSame(one: Moment | undefined, other: Moment | undefined): boolean {
  if (one === undefined || other === undefined || one.beside !== other.beside) return false;
  return other.generation === one.generation || other.generation === nextGeneration(one.generation);
}

/** For a kernel that cannot be asked: only listings tell anything. */
export const noKernelView: KernelView = {
  moment: () => Promise.resolve(undefined),
  ask: () => Promise.resolve(undefined),
};

export interface KernelViewOptions {
  open: OpenNetlink;
  readTable: ReadXtTable;
  /** Makes an nf_tables transaction that changes nothing, with the program nft. @throws Error */
  makeGeneration: () => Promise<void>;
  /** Returns the backend that iptables uses. @throws Error */
  readBackend: () => Promise<'nf_tables' | 'legacy'>;
  /** Returns the folders in which programs are searched. Default: the PATH of this process. */
  path?: () => string;
}

/** Attempts to see the generation change by our own transaction alone; other transactions may come between. */
const proofs = 5;
/** The pause between two attempts, in ms. */
const betweenProofsMs = 200;
/** The pause after all attempts have failed, in ms. */
const proveAgainMs = 60_000;

export function createKernelView(options: KernelViewOptions): KernelView {
  const view = new NetlinkView(options);
  return { moment: () => view.moment(), ask: question => view.ask(question) };
}

/**
 * Answers nothing until it has proved that what nft changes is what the kernel shows this process. nft and iptables may
 * be scripts that enter another network namespace.
 */
class NetlinkView {
  readonly #options: KernelViewOptions;
  #socket: NetlinkSocket | undefined;
  #isProved = false;
  /** The proof in progress. */
  #proving: Promise<void> | undefined;
  #proveAt = 0;
  /** The backend of iptables, and the programs it was read from. */
  #backend: { programs: string; name: 'nf_tables' | 'legacy' } | undefined;

  constructor(options: KernelViewOptions) {
    this.#options = options;
  }

  async moment(): Promise<Moment | undefined> {
    if (!this.#canAnswer()) return undefined;
    try {
      const programs = fingerprint(this.#options.path?.() ?? process.env['PATH'] ?? '');
      const backend = await this.#backendAmong(programs);
      const generation = readGeneration(this.#open());
      if (generation === undefined) return undefined;
      if (backend === 'nf_tables') return { generation, beside: programs };
      const tables = await readLegacyTables(this.#options.readTable);
      return { generation, beside: `${programs} ${digestTables(tables)}` };
    } catch {
      this.#close();
      return undefined;
    }
  }

  async ask<T>(question: (socket: NetlinkSocket) => Promise<T>): Promise<{ answer: T } | undefined> {
    if (!this.#canAnswer()) return undefined;
    // Each question has its own socket, because the answers of two questions must not mix.
    using socket = this.#options.open('nf_tables');
    return { answer: await question(socket) };
  }

  /** Starts the proof when there is none yet. */
  #canAnswer(): boolean {
    if (this.#isProved) return true;
    if (performance.now() < this.#proveAt) return false;
    this.#proving ??= this.#prove().finally(() => {
      this.#proving = undefined;
    });
    return false;
  }

  async #prove(): Promise<void> {
    try {
      for (let left = proofs; left > 0; left -= 1) {
        const before = readGeneration(this.#open());
        if (before === undefined) break;
        await this.#options.makeGeneration();
        this.#isProved = readGeneration(this.#open()) === nextGeneration(before);
        if (this.#isProved) return;
        await delay(betweenProofsMs, undefined, { ref: false });
      }
    } catch {
      this.#close();
    }
    this.#proveAt = performance.now() + proveAgainMs;
  }

  async #backendAmong(programs: string): Promise<'nf_tables' | 'legacy'> {
    if (this.#backend?.programs !== programs)
      this.#backend = { programs, name: await this.#options.readBackend() };
    return this.#backend.name;
  }

  #open(): NetlinkSocket {
    this.#socket ??= this.#options.open('nf_tables');
    return this.#socket;
  }

  #close(): void {
    this.#socket?.[Symbol.dispose]();
    this.#socket = undefined;
  }
}

/** Identifies the program files: another program may list the same rules in other words, or list other rules. */
function fingerprint(path: string): string {
  return ['iptables', 'nft'].map(name => fileOf(name, path)).join(' ');
}

function fileOf(name: string, path: string): string {
  for (const folder of path.split(':')) {
    const file = statSync(join(folder, name), { throwIfNoEntry: false });
    if (file?.isFile()) return `${file.dev}:${file.ino}:${file.mtimeMs}:${file.size}`;
  }
  return 'none';
}
