// Imported by itself: what a program prints at once needs nothing else of @coold/runtime.
import manifest from '../../../../package.json' with { type: 'json' };

/** Put in its place by the bundler (packaging/bundle.ts); a program that runs from its sources has none. */
declare const COOLD_COMMIT: string | undefined;

/** The version of everything that is built from this repository. It stands in the package.json of its root and nowhere else. */
export const version = manifest.version;

/**
 * The version with what else tells builds apart, for `--version`: `0.1.0 (commit 5073b3a27d12, schema 1-2)`.
 *
 * @param schemas of the stream between coold and broker that this build speaks
 */
export function describeRelease({ min, max }: { min: number; max: number }): string {
  const commit = typeof COOLD_COMMIT === 'undefined' ? 'from its sources' : `commit ${COOLD_COMMIT}`;
  return `${version} (${commit}, schema ${min}-${max})`;
}
