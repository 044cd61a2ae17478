import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff, type Logger, type Task } from '@coold/runtime';
import type { EventSubject, PodmanLifecycle } from '../podman/lifecycle.ts';
import type { Endpoint } from './endpoint.ts';
import type { EndpointWriter } from './endpoint-writer.ts';
import type { HostContainers } from './host-containers.ts';
import type { Registrations } from './registrations.ts';

export interface SyncOptions {
  events: PodmanLifecycle['events'];
  containers: HostContainers;
  writer: EndpointWriter;
  registrations: Registrations;
  /** Between two looks at every container, ms. */
  intervalMs: number;
  /** Called after every look at all whose rows Corrosion has acknowledged. */
  onReconciled?: (written: ReadonlyMap<string, Endpoint>, changes: number) => void;
  log: Logger;
  /** Monotonic, ms. */
  now?: () => number;
}

/** Keeps this host's rows in Corrosion what Podman says (docs/contract.md §5). */
export interface Sync {
  /** Follows Podman's events. */
  watch: Task;
  /** Looks and writes: at once where something happened, and at everything every so often. */
  keep: Task;
  /** A container may have changed. */
  touch(id: string): void;
  /** What Corrosion acknowledged is in doubt: it is read back at the next look at everything. */
  doubt(): void;
  stats(): SyncStats;
}

export interface SyncStats {
  /** This host's rows. */
  rows: number;
  /** Rows written or removed since the start. */
  written: number;
  podmanFailures: number;
  corrosionFailures: number;
}

/** Events come in bursts, some of one container: those of this time are looked at together, ms. */
const burstMs = 50;
/** Of events that nobody could look at yet; beyond it, everything is looked at. */
const maxTouched = 10_000;

export function createSync(options: SyncOptions): Sync {
  const { events, containers, writer, registrations, intervalMs, onReconciled, log } = options;
  const { now = () => performance.now() } = options;
  const touched = new Map<string, EventSubject>();
  let wake = () => {};
  const totals = { written: 0, podmanFailures: 0, corrosionFailures: 0 };
  const broken = { podman: false, corrosion: false };

  const touch = (id: string, about: EventSubject) => {
    if (touched.get(id) !== 'change') touched.set(id, about);
    wake();
  };

  /** Says once that a neighbour fails, and once that it is back. */
  const outcome = (which: keyof typeof broken, error: unknown) => {
    const isBroken = error !== undefined;
    const why = error instanceof Error ? error.message : error;
    if (isBroken) totals[`${which}Failures`] += 1;
    if (isBroken !== broken[which]) {
      const meanwhile = which === 'podman' ? 'rows stay as they are' : 'rows are written once it is back';
      if (isBroken) log.warn({ why, again_in_ms: intervalMs }, `${which} does not answer; ${meanwhile}`);
      else log.info(`${which} answers again`);
    } else if (isBroken) log.debug({ why }, `${which} still does not answer`);
    broken[which] = isBroken;
  };

  const look = async (isFull: boolean, signal: AbortSignal) => {
    const some = [...touched];
    touched.clear();
    try {
      if (isFull) await containers.lookAtAll(signal);
      else await containers.lookAt(some, signal);
      outcome('podman', undefined);
    } catch (error) {
      if (!signal.aborted) outcome('podman', error);
    }
  };

  const write = async (isFull: boolean, signal: AbortSignal) => {
    const rows = containers.rows();
    // Before everything was seen once, what was not seen would look as if it were gone.
    if (rows === undefined) return;
    // One that is down is asked again at the next tick, however much happens until then.
    if (broken.corrosion && !isFull) return;
    try {
      const changes = await writer.write(rows, containers.isUnread, signal);
      totals.written += changes;
      if (changes > 0) log.debug({ rows: rows.size, changes }, 'rows written');
      await forgetGone(signal);
      outcome('corrosion', undefined);
      const written = writer.written();
      if (isFull && written !== undefined) onReconciled?.(written, changes);
    } catch (error) {
      registrations.doubt();
      if (!signal.aborted) outcome('corrosion', error);
    }
  };

  /** A registration lives as long as its container; whoever registered it need not say so. */
  const forgetGone = async (signal: AbortSignal) => {
    const missing = [...(await registrations.containers(signal))].filter(id => !containers.has(id));
    if (missing.length === 0) return;
    // One that was registered a moment ago may be newer than the list.
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
  };

  /** Waits until it is time to look. @returns whether at everything */
  const due = async (nextFullAt: number, lastAt: number, signal: AbortSignal): Promise<boolean> => {
    while (!signal.aborted) {
      const at = now();
      if (at >= nextFullAt || touched.size > maxTouched) return true;
      if (touched.size > 0 && at >= lastAt + burstMs) return false;
      const until = touched.size > 0 ? Math.min(nextFullAt, lastAt + burstMs) : nextFullAt;
      await new Promise<void>(resolve => {
        const timer = setTimeout(() => wake(), Math.max(1, until - at));
        const stop = () => wake();
        wake = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', stop);
          resolve();
        };
        signal.addEventListener('abort', stop, { once: true });
      });
    }
    return true;
  };

  return {
    touch: id => touch(id, 'change'),
    doubt() {
      writer.doubt();
      registrations.doubt();
    },
    stats: () => ({ rows: containers.rows()?.size ?? 0, ...totals }),
    async keep(signal) {
      let nextFullAt = now();
      let lastAt = Number.NEGATIVE_INFINITY;
      while (!signal.aborted) {
        const isFull = await due(nextFullAt, lastAt, signal);
        if (signal.aborted) return;
        lastAt = now();
        await look(isFull, signal);
        await write(isFull, signal);
        if (isFull) nextFullAt = now() + intervalMs;
      }
    },
    async watch(signal) {
      const backoff = createBackoff({ firstMs: 100, maxMs: 5000 });
      let isBroken = false;
      while (!signal.aborted) {
        let why: unknown;
        try {
          await events((id, about) => {
            if (isBroken) log.info("podman's events come again");
            isBroken = false;
            backoff.reset();
            touch(id, about);
          }, signal);
        } catch (error) {
          why = (error as Error).message;
        }
        if (signal.aborted) return;
        const waitMs = backoff.next();
        const line = `podman's events ended; changes are found every ${intervalMs} ms meanwhile`;
        log[isBroken ? 'debug' : 'warn']({ why, again_in_ms: waitMs }, line);
        isBroken = true;
        await delay(waitMs, undefined, { signal }).catch(() => {});
      }
    },
  };
}
