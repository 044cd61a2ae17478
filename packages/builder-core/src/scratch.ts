import { mkdir, readFile, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { ChildError, runChild } from '@coold/runtime/child';

/** The temporary folder of a build, below its work folder. It is removed when the build ends. */
export interface Scratch {
  folder: string;
  gitDir: string;
  checkout: string;
  home: string;
  tmp: string;
}

const name = 'scratch';

/** Creates the folder, after removing what a killed build left there. @throws Error when that cannot be removed */
export async function makeScratch(workDir: string): Promise<Scratch> {
  const removal = await removeScratch(workDir, 60_000);
  if (removal !== undefined) throw new Error(removal);
  const folder = join(await realpath(workDir), name);
  const scratch = {
    folder,
    gitDir: join(folder, 'git'),
    checkout: join(folder, 'checkout'),
    home: join(folder, 'home'),
    tmp: join(folder, 'tmp'),
  };
  await mkdir(folder, { mode: 0o700 });
  // The mode of the checkout becomes the mode of a folder in the image, which programs other than root must read.
  await mkdir(scratch.checkout, { mode: 0o755 });
  for (const private_ of [scratch.gitDir, scratch.home, scratch.tmp]) await mkdir(private_, { mode: 0o700 });
  return scratch;
}

/**
 * Removes the folder, unless something is mounted below it: a killed tool may have left folders of the host mounted there.
 *
 * @param timeoutMs for the removal, in ms. Files that remain are removed later, with the work folder
 * @returns why the folder is still there, or undefined when it is gone
 */
export async function removeScratch(workDir: string, timeoutMs: number): Promise<string | undefined> {
  const folder = join(await realpath(workDir), name);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const below = mounts
    .split('\n')
    .some(line => unescapePath(line.split(' ')[4] ?? '').startsWith(folder + sep));
  if (below) return `${folder} stays: something is mounted below it`;
  try {
    const { code, stderr } = await runChild('rm', ['-rf', '--one-file-system', '--', folder], { timeoutMs });
    return code === 0 ? undefined : `${folder} stays: ${stderr.trim().slice(0, 500)}`;
  } catch (error) {
    if (error instanceof ChildError) return `${folder} stays: ${error.message}`;
    throw error;
  }
}

/** Decodes a path of mountinfo, where spaces, tabs, line breaks and backslashes are octal. */
function unescapePath(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
