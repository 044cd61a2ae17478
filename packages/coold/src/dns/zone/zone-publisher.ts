import type { Holding, Zone } from './zone.ts';

/** Publishes parts of the zone to another thread: each name that the thread asks for, and its later changes. */
export interface ZonePublisher {
  asked(name: string): void;
  /** Call when something in the zone may have changed. */
  changed(): void;
  /**
   * Stops publishing, whatever is asked or changes: the memory that wakes the thread may belong to another one by then.
   */
  close(): void;
}

/** Messages to the thread. Each `told` applies after all earlier ones. */
export interface ZoneUpdate {
  told(names: [name: string, holding: Holding][]): void;
  /** Changes of a name are no longer reported unless it is asked for again. */
  forget(): void;
}

/**
 * The most names whose changes are reported. One more, and all are forgotten: a client that asks for so many asks for
 * names that do not exist.
 */
export const maxPublished = 4096;
/** The interval of checks of all names, in ms. */
const lookEveryMs = 20;
/**
 * The pause after a check, as a multiple of its duration: with many names, in a mesh that changes all the time, checks
 * would otherwise fill a good part of a core.
 */
const restTimes = 20;
/** The longest such pause, in ms, for a check that took long for other reasons. */
const maxRestMs = 500;

export function createZonePublisher(zone: Pick<Zone, 'find'>, update: ZoneUpdate): ZonePublisher {
  const taught = new Map<string, Holding>();
  let nextLookAt = Number.NEGATIVE_INFINITY;
  let planned: NodeJS.Timeout | undefined;
  let isClosed = false;

  const look = () => {
    planned = undefined;
    const begunAt = performance.now();
    const news: [string, Holding][] = [];
    for (const [name, before] of taught) {
      const holding = zone.find(name);
      if (isSame(before, holding)) continue;
      taught.set(name, holding);
      news.push([name, portable(holding)]);
    }
    if (news.length > 0) update.told(news);
    const endedAt = performance.now();
    const rest = Math.min((endedAt - begunAt) * restTimes, maxRestMs);
    nextLookAt = endedAt + Math.max(lookEveryMs, rest);
  };

  return {
    asked(name) {
      if (isClosed) return;
      if (taught.size >= maxPublished) {
        taught.clear();
        update.forget();
      }
      const holding = zone.find(name);
      taught.set(name, holding);
      update.told([[name, portable(holding)]]);
    },
    changed() {
      if (isClosed) return;
      planned ??= setTimeout(look, Math.max(0, nextLookAt - performance.now()));
    },
    close() {
      isClosed = true;
      clearTimeout(planned);
    },
  };
}

/** Lists are immutable (see DnsDirectory), so the same list means the same content. */
function isSame(a: Holding, b: Holding): boolean {
  if (a.kind === 'relative' && b.kind === 'relative') return a.endpoints === b.endpoints;
  if (a.kind === 'endpoints' && b.kind === 'endpoints') return a.endpoints === b.endpoints;
  if (a.kind === 'pointers' && b.kind === 'pointers') return a.names.join() === b.names.join();
  return a.kind === b.kind;
}

/** Leaves out what else the directory keeps of a container. */
function portable(holding: Holding): Holding {
  if (!('endpoints' in holding) || holding.endpoints === undefined) return holding;
  const endpoints = holding.endpoints.map(({ address, hostMgmtIp, containerId }) => ({
    address,
    hostMgmtIp,
    containerId,
  }));
  return { kind: holding.kind, endpoints };
}
