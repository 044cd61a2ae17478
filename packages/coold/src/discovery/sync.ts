import { CorrosionError } from '@coold/corrosion';
import { createBackoff, createChangeSignal, errorMessage, type Logger, pause } from '@coold/runtime';
import type { EventSubject, PodmanLifecycle } from '../podman/lifecycle.ts';
import type { HostContainers } from './containers/host-containers.ts';
import type { AliasWriter } from './corrosion/alias-writer.ts';
import type { OwnRows } from './corrosion/own-rows.ts';
import type { Registrations } from './corrosion/registrations.ts';
import type { Endpoint } from './endpoint.ts';

export interface SyncOptions {
  events: PodmanLifecycle['events'];
  containers: HostContainers;
  writer: OwnRows<Endpoint>;
  aliases: AliasWriter;
  registrations: Registrations;
  /** The interval of full inspections, in ms. */
  intervalMs: number;
  /** Called after every full inspection whose rows Corrosion has acknowledged. */
  onReconciled?: (written: ReadonlyMap<string, Endpoint>) => void;
  log: Logger;
  /** Monotonic, ms. */
  now?: () => number;
}

/**
 * The inspection of all containers. It runs beside inspections of single ones: Podman's list waits for the lock of
 * every container, which `podman export` and `podman commit` hold as long as they run, and only their container must
 * wait for them.
 */
type FullLook =
  /** The next one is due at that time, monotonic, in ms. */
  | { state: 'idle'; nextAt: number }
  | { state: 'looking'; looking: Promise<void> }
  /** Its result must be written. */
  | { state: 'ended' };

export interface SyncStats {
  /** This host's rows. */
  rows: number;
  /** Rows written or removed since the start. */
  written: number;
  podmanFailures: number;
  corrosionFailures: number;
}

/** Events come in bursts, some for the same container. Events within this many ms are handled together. */
const burstMs = 50;
/** The longest time of a timer, in ms. */
const longestTimerMs = 2 ** 31 - 1;
/**
 * The longest pause between two attempts to follow Podman's events, in ms. An attempt that lasts longer counts as
 * successful.
 */
const longestWaitMs = 5000;
/** The number of containers with unhandled events beyond which all containers are inspected. */
const maxTouched = 10_000;

/** Keeps this host's rows in Corrosion equal to what Podman reports (docs/contract.md §5). */
export class Sync {
  readonly #options: SyncOptions;
  readonly #now: () => number;
  readonly #touched = new TouchedContainers();
  readonly #neighbours: Neighbours;
  readonly #rows: RowWriting;
  #full: FullLook;
  /** When touched containers were last inspected, monotonic, in ms. */
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: SyncOptions) {
    const { intervalMs, log, now = () => performance.now() } = options;
    this.#options = options;
    this.#now = now;
    this.#neighbours = new Neighbours(intervalMs, log);
    this.#rows = new RowWriting(options, this.#neighbours);
    this.#full = { state: 'idle', nextAt: now() };
  }

  /** Reports that a container may have changed. */
  touch(id: string): void {
    this.#touched.add(id, 'change');
  }

  /** Records that Corrosion may hold other rows than it acknowledged: the next full inspection reads them back. */
  doubt(): void {
    const { writer, aliases, registrations } = this.#options;
    writer.doubt();
    aliases.doubt();
    registrations.doubt();
  }

  stats(): SyncStats {
    const rows = this.#options.containers.rows()?.size ?? 0;
    return { rows, written: this.#rows.written, ...this.#neighbours.failures() };
  }

  /** Follows Podman's events until the signal aborts. Never rejects. */
  watch(signal: AbortSignal): Promise<void> {
    const { events, intervalMs, log } = this.#options;
    const onEvent = (id: string, about: EventSubject) => this.#touched.add(id, about);
    return watchEvents(events, onEvent, { intervalMs, log, now: this.#now }, signal);
  }

  /**
   * Inspects containers and writes their rows until the signal aborts: soon after an event of a container, and all of
   * them at intervals.
   */
  async keep(signal: AbortSignal): Promise<void> {
    const { intervalMs } = this.#options;
    this.#full = { state: 'idle', nextAt: this.#now() };
    while (!signal.aborted) {
      const due = await this.#due(signal);
      if (signal.aborted) break;
      switch (due) {
        case 'all': {
          const looking = this.#lookAtAll(signal).then(() => {
            this.#full = { state: 'ended' };
            this.#touched.wake();
          });
          this.#full = { state: 'looking', looking };
          break;
        }
        case 'looked':
          await this.#rows.write(true, signal);
          this.#full = { state: 'idle', nextAt: this.#now() + intervalMs };
          break;
        case 'some':
          this.#lookedAt = this.#now();
          await this.#lookAtTouched(signal);
          await this.#rows.write(false, signal);
      }
    }
    if (this.#full.state === 'looking') await this.#full.looking;
  }

  /** Waits until a full inspection is due, containers were touched, or a full inspection has ended. */
  async #due(signal: AbortSignal): Promise<'all' | 'some' | 'looked'> {
    const touched = this.#touched;
    while (!signal.aborted) {
      const at = this.#now();
      const full = this.#full;
      if (full.state === 'ended') return 'looked';
      const allAt = full.state === 'idle' ? full.nextAt : Number.POSITIVE_INFINITY;
      const someAt = touched.size > 0 ? this.#lookedAt + burstMs : Number.POSITIVE_INFINITY;
      if (at >= allAt || (full.state === 'idle' && touched.size > maxTouched)) return 'all';
      if (at >= someAt) return 'some';
      await touched.changed(Math.max(1, Math.min(allAt, someAt) - at), signal);
    }
    return 'looked';
  }

  async #lookAtAll(signal: AbortSignal): Promise<void> {
    // A full inspection covers all touched containers.
    if (this.#touched.size > maxTouched) this.#touched.take();
    try {
      await this.#options.containers.lookAtAll(signal);
      this.#neighbours.answered('podman');
    } catch (error) {
      if (!signal.aborted) this.#neighbours.failed('podman', error);
    }
  }

  /** A success does not prove that Podman works again: it may inspect a container while it cannot list all. */
  async #lookAtTouched(signal: AbortSignal): Promise<void> {
    try {
      await this.#options.containers.lookAt(this.#touched.take(), signal);
    } catch (error) {
      if (!signal.aborted) this.#neighbours.failed('podman', error);
    }
  }
}

/** Follows Podman's events until the signal aborts. Begins again, with backoff, whenever they end. */
async function watchEvents(
  events: PodmanLifecycle['events'],
  onEvent: (id: string, about: EventSubject) => void,
  { intervalMs, log, now }: Required<Pick<SyncOptions, 'intervalMs' | 'log' | 'now'>>,
  signal: AbortSignal,
): Promise<void> {
  const backoff = createBackoff({ firstMs: 100, maxMs: longestWaitMs });
  let isBroken = false;
  while (!signal.aborted) {
    const begunAt = now();
    let why: string | undefined;
    try {
      await events((id, about) => {
        if (isBroken) log.info("podman's events come again");
        isBroken = false;
        backoff.reset();
        onEvent(id, about);
      }, signal);
    } catch (error) {
      why = errorMessage(error);
    }
    if (signal.aborted) return;
    // Podman was followed all that time, even if nothing happened, so this end is a new one.
    if (now() - begunAt > longestWaitMs) {
      backoff.reset();
      isBroken = false;
    }
    const waitMs = backoff.next();
    const line = `podman's events ended; changes are found every ${intervalMs} ms meanwhile`;
    log[isBroken ? 'debug' : 'warn']({ why, again_in_ms: waitMs }, line);
    isBroken = true;
    await pause(waitMs, signal);
  }
}

/** The containers with events since their last inspection. */
class TouchedContainers {
  #touched = new Map<string, EventSubject>();
  readonly #changes = createChangeSignal();

  get size(): number {
    return this.#touched.size;
  }

  /** Records an event of a container. A change outweighs an event of its health alone. */
  add(id: string, about: EventSubject): void {
    if (this.#touched.get(id) !== 'change') this.#touched.set(id, about);
    this.wake();
  }

  /** Returns all of them, and starts with none. */
  take(): Map<string, EventSubject> {
    const taken = this.#touched;
    this.#touched = new Map();
    return taken;
  }

  /** Ends the wait of `changed`. */
  wake(): void {
    this.#changes.announce();
  }

  /** Resolves at the next `add` or `wake`, after `withinMs`, which may be infinite, or when the signal aborts. */
  changed(withinMs: number, signal: AbortSignal): Promise<void> {
    return this.#changes.later(this.#changes.count(), Math.min(withinMs, longestTimerMs), signal);
  }
}

/** Podman and Corrosion, and whether each works. Logs once when one fails, and once when it is back. */
class Neighbours {
  readonly #intervalMs: number;
  readonly #log: Logger;
  readonly #of = { podman: { isBroken: false, failures: 0 }, corrosion: { isBroken: false, failures: 0 } };

  constructor(intervalMs: number, log: Logger) {
    this.#intervalMs = intervalMs;
    this.#log = log;
  }

  isBroken(which: 'podman' | 'corrosion'): boolean {
    return this.#of[which].isBroken;
  }

  answered(which: 'podman' | 'corrosion'): void {
    const neighbour = this.#of[which];
    if (neighbour.isBroken) this.#log.info(`${which} works again`);
    neighbour.isBroken = false;
  }

  failed(which: 'podman' | 'corrosion', error: unknown): void {
    const neighbour = this.#of[which];
    const why = errorMessage(error);
    neighbour.failures += 1;
    if (neighbour.isBroken) this.#log.debug({ why }, `${which} still fails`);
    else this.#log.warn({ why, again_in_ms: this.#intervalMs }, brokenLines[which](error));
    neighbour.isBroken = true;
  }

  failures(): Pick<SyncStats, 'podmanFailures' | 'corrosionFailures'> {
    return { podmanFailures: this.#of.podman.failures, corrosionFailures: this.#of.corrosion.failures };
  }
}

const brokenLines = {
  podman: () => 'podman does not answer; rows stay as they are',
  corrosion(error: unknown) {
    const isSilent = !(error instanceof CorrosionError) || error.fault === 'unreachable';
    return isSilent
      ? 'corrosion does not answer; rows are written once it is back'
      : 'corrosion refuses requests; rows are written once it accepts them';
  },
};

/** Writes the rows of this host's containers and their aliases, and updates registrations. */
class RowWriting {
  readonly #options: SyncOptions;
  readonly #neighbours: Neighbours;
  /** Rows written or removed since the start. */
  written = 0;

  constructor(options: SyncOptions, neighbours: Neighbours) {
    this.#options = options;
    this.#neighbours = neighbours;
  }

  /** @param isFull whether all containers were just looked at */
  async write(isFull: boolean, signal: AbortSignal): Promise<void> {
    const { containers, writer, aliases, registrations, onReconciled, log } = this.#options;
    const rows = containers.rows();
    // Until all containers were inspected once, one that was not would look as if it were gone.
    if (rows === undefined) return;
    // After a failure, Corrosion is asked again only after the next full inspection, however much happens before.
    if (this.#neighbours.isBroken('corrosion') && !isFull) return;
    try {
      const changes = await writer.write(rows, ({ containerId }) => containers.isUnread(containerId), signal);
      this.written += changes;
      this.written += await aliases.write(containers.aliases(), id => containers.isUnread(id), signal);
      if (changes > 0) log.debug({ rows: rows.size, changes }, 'rows written');
      await this.#forgetGone(signal);
      this.#neighbours.answered('corrosion');
      const written = writer.written();
      if (isFull && written !== undefined) onReconciled?.(written);
    } catch (error) {
      registrations.doubt();
      aliases.doubt();
      if (!signal.aborted) this.#neighbours.failed('corrosion', error);
    }
  }

  /** Removes the registrations of containers that are gone: a registration lives as long as its container. */
  async #forgetGone(signal: AbortSignal): Promise<void> {
    const { containers, registrations, log } = this.#options;
    const missing = [...(await registrations.containers(signal))].filter(id => !containers.has(id));
    if (missing.length === 0) return;
    // A container registered a moment ago may be newer than the list.
    try {
      await containers.lookAt(
        missing.map(id => [id, 'change'] as const),
        signal,
      );
    } catch {
      return; // Podman cannot say: another time
    }
    const gone = missing.filter(id => !containers.has(id));
    await registrations.forget(gone, signal);
    if (gone.length > 0) log.info({ containers: gone }, 'registrations of containers that are gone: removed');
  }
}
