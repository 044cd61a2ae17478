// Import this alone, so that `--version` loads nothing else of @coold/runtime.
import manifest from '../../../../package.json' with { type: 'json' };

/** Replaced by the bundler (packaging/bundle.ts); undefined in a program that runs from its sources. */
declare const COOLD_COMMIT: string | undefined;

/** The version of everything that is built from this repository. It is written in the package.json of its root only. */
export const version = manifest.version;

/**
 * Returns the version with what distinguishes builds, for `--version`: `0.1.0 (commit 5073b3a27d12, schema 1-2)`.
 *
 * @param schemas of the stream between coold and broker that this build speaks
 */
export function describeRelease({ min, max }: { min: number; max: number }): string {
  const commit = typeof COOLD_COMMIT === 'undefined' ? 'from its sources' : `commit ${COOLD_COMMIT}`;
  return `${version} (${commit}, schema ${min}-${max})`;
}
