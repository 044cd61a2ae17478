import type { ChangeSignal } from '@coold/runtime';
import { tokenId } from '../../hosts/token-id.ts';

/** What became of a token at one of several brokers, as all of them are to know it. */
export interface SharedChange {
  tokenId: string;
  /** Of two changes of a token the higher counts: Unix time in ms, or one more than the version that it follows. */
  version: number;
  isRevoked: boolean;
}

/** Tokens that several brokers have revoked, and those that they have taken back. Pure. */
export interface SharedList {
  isRevoked(tokenId: string): boolean;
  /** Whether there is room for one more that is revoked. */
  hasRoom(): boolean;
  /** A change that is later than all that is known of the token. */
  next(tokenId: string, isRevoked: boolean, now: number): SharedChange;
  /** Takes those that count more than what is known. @returns those, and how many there was no room for */
  merge(changes: readonly SharedChange[]): { taken: SharedChange[]; left: number };
  /** Numbered by when they came, oldest first: those after that number, at most so many. */
  since(seen: number, most: number): { changes: SharedChange[]; seen: number };
  revoked(): Iterable<string>;
  text(): string;
}

/** Revocations that brokers tell each other of. */
export interface SharedRevocations extends Pick<SharedList, 'since'> {
  /** Announced after each change. */
  changed: ChangeSignal;
  /** Takes in what another broker tells; in force when this returns, whatever becomes of the files. */
  merge(changes: readonly SharedChange[]): void;
}

const defaultMaxRevoked = 50_000;
/** A token that was taken back is told to a broker that was away for as long as this. */
const defaultMaxRestored = 10_000;

export function createSharedList({
  maxRevoked = defaultMaxRevoked,
  maxRestored = defaultMaxRestored,
} = {}): SharedList {
  /** In the order of their numbers. */
  const known = new Map<string, SharedChange & { number: number }>();
  let last = 0;
  const counts = { revoked: 0, restored: 0 };
  const kindOf = ({ isRevoked }: SharedChange) => (isRevoked ? 'revoked' : 'restored');

  function forget(id: string): void {
    const change = known.get(id);
    if (change === undefined) return;
    counts[kindOf(change)] -= 1;
    known.delete(id);
  }

  /** Makes room by the oldest of those that were taken back: to know no more of it leaves the token revoked where it is. */
  function forgetOldestRestored(): void {
    for (const [id, { isRevoked }] of known)
      if (!isRevoked) {
        forget(id);
        return;
      }
  }

  function take(change: SharedChange): boolean {
    const before = known.get(change.tokenId);
    const isGrowing = change.isRevoked && before?.isRevoked !== true;
    if (isGrowing && counts.revoked >= maxRevoked) return false;
    forget(change.tokenId);
    last += 1;
    known.set(change.tokenId, { ...change, number: last });
    counts[kindOf(change)] += 1;
    if (counts.restored > maxRestored) forgetOldestRestored();
    return true;
  }

  return {
    isRevoked: id => known.get(id)?.isRevoked === true,
    hasRoom: () => counts.revoked < maxRevoked,
    next: (id, isRevoked, now) => ({
      tokenId: id,
      isRevoked,
      // Nothing follows the highest there is: then a revocation still counts, and what takes it back does not.
      version: Math.min(Number.MAX_SAFE_INTEGER, Math.max(now, (known.get(id)?.version ?? 0) + 1)),
    }),
    merge(changes) {
      const newer = changes.filter(change => countsMore(change, known.get(change.tokenId)));
      const taken = newer.filter(take);
      return { taken, left: newer.length - taken.length };
    },
    since(seen, most) {
      const changes: SharedChange[] = [];
      let upTo = seen;
      for (const { number, ...change } of known.values()) {
        if (number <= seen) continue;
        if (changes.length >= most) break;
        changes.push(change);
        upTo = number;
      }
      return { changes, seen: upTo };
    },
    *revoked() {
      for (const [id, { isRevoked }] of known) if (isRevoked) yield id;
    },
    text: () => [header, ...[...known.values()].map(line)].join('\n').concat('\n'),
  };
}

/** At the same version a revocation counts more: it was meant to keep somebody out. */
function countsMore(change: SharedChange, before: SharedChange | undefined): boolean {
  if (before === undefined || change.version > before.version) return true;
  return change.version === before.version && change.isRevoked && !before.isRevoked;
}

const header = '# Tokens that the brokers of this fleet have revoked. Written by the broker; do not edit.';

const line = ({ tokenId: id, version, isRevoked }: SharedChange) =>
  `${version} ${isRevoked ? 'revoked' : 'restored'} ${id}`;

/** Reads what `text` has written. @throws Error naming the first line that is not so */
export function parseSharedList(text: string): SharedChange[] {
  return text.split('\n').flatMap((each, index) => {
    if (each === '' || each.startsWith('#')) return [];
    const [version = '', what = '', id = '', ...more] = each.split(' ');
    const change = { tokenId: id, version: Number(version), isRevoked: what === 'revoked' };
    if (more.length > 0 || !['revoked', 'restored'].includes(what) || !isSharedChange(change))
      throw new Error(`line ${index + 1}: expected "VERSION revoked|restored TOKEN-ID"`);
    return [change];
  });
}

/** Whether a change that came from elsewhere can be kept. */
export function isSharedChange({ tokenId: id, version }: SharedChange): boolean {
  return tokenId.parse(id) !== undefined && Number.isSafeInteger(version) && version > 0;
}
