import type { DatabaseVersion } from '@coold/corrosion';

/** The highest known version of this host's Corrosion database. */
export interface KnownVersion extends DatabaseVersion {
  /** Whether the version went backwards since the database was created: it was restored to an older state. */
  isPutBack: boolean;
}

/**
 * Watches the version of this host's Corrosion database. Other agents ignore changes with a version that they have seen
 * already (docs/contract.md §5). So they never learn what a restored database numbers with old versions, and miss it
 * even once its version is higher than before. Only a newly created database is accepted.
 */
export interface VersionWatch {
  /** Call before a transaction. @returns a function to call with the version that the transaction got */
  begin(): (told: DatabaseVersion) => void;
  known(): KnownVersion | undefined;
}

/** @param known from an earlier run @param onPutBack called once per restored database */
export function createVersionWatch(known: KnownVersion | undefined, onPutBack: () => void): VersionWatch {
  return {
    known: () => known,
    begin() {
      // Answers may overtake each other, so a version is compared with what was known before its transaction.
      const before = known;
      return ({ actorId, version }) => {
        if (known?.actorId !== actorId) {
          known = { actorId, version, isPutBack: false };
          return;
        }
        const isBack = before?.actorId === actorId && version <= before.version;
        const isFirst = isBack && !known.isPutBack;
        known = { actorId, version: Math.max(known.version, version), isPutBack: known.isPutBack || isBack };
        if (isFirst) onPutBack();
      };
    },
  };
}
