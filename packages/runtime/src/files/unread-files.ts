/** Files that a program cannot read again: what it read before stays in use. */
export interface UnreadFiles {
  /** The name of the files for people, such as `public keys of host tokens`. */
  what: string;
  problem: string;
}

/**
 * Records the files that a program could not read again: it goes on with the old content, but would not start with the
 * new one.
 */
export interface UnreadFilesList {
  /** @param why the reason; undefined: they were read */
  note(what: string, why: string | undefined): void;
  list(): UnreadFiles[];
}

export function createUnreadFiles(): UnreadFilesList {
  const known = new Map<string, UnreadFiles>();
  return {
    note(what, why) {
      if (why === undefined) known.delete(what);
      else known.set(what, { what, problem: why });
    },
    list: () => [...known.values()],
  };
}

/** Returns the problem as a sentence for people. Pure. */
export function unreadProblem({ what, problem }: UnreadFiles): string {
  return `${what}: the ones read before are still used, and the next start would fail: ${problem}; correct the file, it is read again without a restart`;
}
