import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleProgram } from '../../packaging/bundle.ts';
import { type Program, programs } from '../../packaging/programs.ts';

/** The stand-in for Corrosion, which starts like one of our programs. */
const standIn: Program = { name: 'corrosion', entry: 'packages/testbed/src/corrosion/main.ts', role: 'host' };

/** The files that decide how the programs are bundled, in addition to their sources. */
const makers = [
  ...['.node-version', 'pnpm-lock.yaml', 'packaging/bundle.ts', 'packaging/programs.ts'],
  'e2e/quickstart/bundles.ts',
];

/** Modification times by path, in ms. */
type Stamp = Record<string, number>;

/**
 * Bundles the programs as the package does, and the stand-in for Corrosion: from source they would take four times as
 * long to start. It rebuilds only when a source has changed.
 *
 * @param root the root of the repository
 * @returns the folder with `<program>.mjs`, relative to the root
 */
export async function bundlePrograms(root: string): Promise<string> {
  const folder = join(root, 'node_modules/.cache/quickstart');
  const stampPath = join(folder, 'made-of.json');
  const before = await readStamp(stampPath);
  if (before !== undefined && (await isUnchanged(root, before))) return folder;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const bundles = await Promise.all(
    [...programs, standIn].map(program => bundleProgram(root, program, folder)),
  );
  const inputs = new Set(bundles.flatMap(bundle => bundle.inputs).filter(input => !input.includes(':')));
  for (const maker of makers) inputs.add(maker);
  const stamp = Object.fromEntries(
    await Promise.all([...inputs].map(async input => [input, await changedAt(root, input)] as const)),
  );
  // Written last and renamed: a killed run leaves no stamp, so the next one bundles again.
  await writeFile(`${stampPath}.new`, JSON.stringify(stamp));
  await rename(`${stampPath}.new`, stampPath);
  return folder;
}

async function readStamp(path: string): Promise<Stamp | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Stamp;
  } catch {
    return undefined;
  }
}

async function isUnchanged(root: string, stamp: Stamp): Promise<boolean> {
  const same = await Promise.all(
    Object.entries(stamp).map(async ([input, time]) => (await changedAt(root, input)) === time),
  );
  return same.every(Boolean);
}

/** Returns a file's modification time in ms; 0 when the file does not exist. */
async function changedAt(root: string, input: string): Promise<number> {
  return await stat(join(root, input)).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}
