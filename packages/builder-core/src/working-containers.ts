import { basename, dirname, join } from 'node:path';
import { BuildFailure } from './build-failure.ts';
import { reasonIn, runTool, type ToolResult } from './run-tool.ts';
import { isArgument } from './running-builds.ts';
import type { Scratch } from './scratch.ts';

// buildah keeps what it builds in as working containers in the host's storage, and one that is killed leaves them there.
// Each has the name of its build's mounts file, which says whose it is.

/** The mounts file of a build: empty, and its name is what its working containers are known by. */
export function mountsFileIn({ folder }: Pick<Scratch, 'folder'>): string {
  return join(folder, 'mounts');
}

/**
 * Removes the working containers that this build left when its buildah was killed; others' stay. For the rest a killed
 * build is as if it had not been: storage and mounts survive it.
 *
 * @param timeoutMs for all of it
 * @throws ChildError when buildah does not answer in time: then a later build's sweep has them, BuildFailure when it does
 * not start, or not remove one; the others are gone then
 */
export async function removeWorkingContainers(
  scratch: Scratch,
  env: NodeJS.ProcessEnv,
  timeoutMs: number,
): Promise<void> {
  const own = mountsFileIn(scratch);
  await removeThose(scratch, async mounts => mounts === own, env, AbortSignal.timeout(timeoutMs));
}

/**
 * Removes the working containers of earlier builds on this host that nobody ended: of a builder that was killed, or had no
 * time left to remove them itself. Those of builds that run stay, and so does what is no build of the same root.
 *
 * @param signal ends it at once
 * @param enough ends it after the step it is at; what remains is for the next build
 * @throws BuildFailure when buildah does not start or cannot remove one, the others being gone then, ChildError when the
 * signal aborts
 */
export async function sweepWorkingContainers(
  scratch: Scratch,
  env: NodeJS.ProcessEnv,
  { signal, enough }: { signal: AbortSignal; enough: AbortSignal },
): Promise<void> {
  // Asked after the container was seen: a build has containers only while its buildah lives, and starts no second.
  const isDead = async (mounts: string) => isMountsFileBeside(scratch, mounts) && !(await isArgument(mounts));
  await removeThose(scratch, isDead, env, signal, enough);
}

/**
 * buildah opens the folder of networks that a container was made with before it says or removes anything of it, and makes
 * the folder where it is not there. It is the name of a folder in this build's scratch (BuildahFiles), where alone that is
 * possible: the unit sees all other work folders read-only.
 */
async function removeThose(
  scratch: Scratch,
  isMeant: (mounts: string) => Promise<boolean>,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
  enough?: AbortSignal,
): Promise<void> {
  const tool = { env, stage: 'buildah', signal, cwd: scratch.folder } as const;
  const buildah = (...args: string[]) => runTool('buildah', args, tool);
  const listed = await buildah('containers', '--quiet', '--notruncate');
  const kept: BuildFailure[] = [];
  // One that was removed meanwhile was that of a build that has ended.
  const isDone = ({ code, lastWords }: ToolResult, id: string, what: string) => {
    const reason = reasonIn(lastWords, /^Error: /);
    if (code !== 0 && !reason.endsWith('container not known'))
      kept.push(new BuildFailure(500, 'buildah', `working container ${id} ${what}: ${reason}`));
    return code === 0;
  };
  for (const id of listed.stdout.split('\n').filter(line => /^[0-9a-f]{64}$/.test(line))) {
    if (enough?.aborted === true) break;
    const format = '{{.DefaultMountsFilePath}}';
    const seen = await buildah('inspect', '--type', 'container', '--format', format, '--', id);
    if (!isDone(seen, id, 'cannot be looked at') || !(await isMeant(seen.stdout.trim()))) continue;
    isDone(await buildah('rm', '--', id), id, 'stays');
  }
  if (kept[0] !== undefined) throw kept[0];
}

/** Whether it is that of another build whose work folder lies, or lay, beside this one's. */
function isMountsFileBeside(scratch: Scratch, mounts: string): boolean {
  const root = dirname(dirname(scratch.folder));
  const folder = dirname(mounts);
  return (
    mounts === mountsFileIn({ folder }) &&
    basename(folder) === basename(scratch.folder) &&
    dirname(dirname(folder)) === root &&
    folder !== scratch.folder
  );
}
