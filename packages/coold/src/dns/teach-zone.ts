import type { Holding, Zone } from './zone.ts';

/** Tells another thread what the zone holds: of each name that it asks for, and from then on whenever that changes. */
export interface ZoneTeacher {
  asked(name: string): void;
  /** Something in the zone may have changed. */
  changed(): void;
  /** Nothing is told from then on, whatever is asked or changes: what wakes the thread may be another's by then. */
  close(): void;
}

/** What it is told by; each `told` holds after all that were told before. */
export interface Lesson {
  told(names: [name: string, holding: Holding][]): void;
  /** Nothing more is told of any name, unless it is asked for again. */
  forget(): void;
}

/** Names that are kept up with; one more, and all are forgotten: whoever asks for so many asks for what does not exist. */
export const maxTaught = 4096;
/** Between two looks at all of them, in ms. */
const lookEveryMs = 20;
/** As many times as long as a look took passes before the next: with many names, in a mesh where something changes all the
 * time, they would fill a good part of a core. */
const restTimes = 20;
/** News is never later for it than this, should a look have taken long for other reasons, in ms. */
const maxRestMs = 500;

export function createZoneTeacher(zone: Pick<Zone, 'find'>, lesson: Lesson): ZoneTeacher {
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
    if (news.length > 0) lesson.told(news);
    const endedAt = performance.now();
    const rest = Math.min((endedAt - begunAt) * restTimes, maxRestMs);
    nextLookAt = endedAt + Math.max(lookEveryMs, rest);
  };

  return {
    asked(name) {
      if (isClosed) return;
      if (taught.size >= maxTaught) {
        taught.clear();
        lesson.forget();
      }
      const holding = zone.find(name);
      taught.set(name, holding);
      lesson.told([[name, portable(holding)]]);
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

/** Lists are never changed (see DnsDirectory), so that one list is one content. */
function isSame(a: Holding, b: Holding): boolean {
  return a.kind === 'endpoints' && b.kind === 'endpoints' ? a.endpoints === b.endpoints : a.kind === b.kind;
}

/** Without what else the directory keeps of a container. */
function portable(holding: Holding): Holding {
  if (holding.kind !== 'endpoints') return holding;
  const endpoints = holding.endpoints.map(({ address, hostMgmtIp, containerId }) => ({
    address,
    hostMgmtIp,
    containerId,
  }));
  return { kind: 'endpoints', endpoints };
}
