import { basename, dirname, join } from 'node:path';
import { BuildFailure } from '../build-failure.ts';
import type { Scratch } from '../scratch.ts';
import { isProcessArgument } from '../tools/processes.ts';
import { failureReason, runTool, type ToolResult } from '../tools/run-tool.ts';

// buildah builds in working containers in the storage of the host, and a killed buildah leaves them there. Each working
// container records the path of its build's mounts file, which shows which build it belongs to.

/** Returns the path of a build's mounts file. The file is empty; its path identifies the working containers of the build. */
export function mountsFileIn({ folder }: Pick<Scratch, 'folder'>): string {
  return join(folder, 'mounts');
}

/**
 * Removes the working containers that this build left when its buildah was killed. Working containers of other builds stay.
 *
 * @param timeoutMs for all removals together, in ms
 * @throws ChildError when buildah does not answer in time; then the sweep of a later build removes them
 * @throws BuildFailure when buildah does not start or cannot remove a container; then the others are gone
 */
export async function removeWorkingContainers(
  scratch: Scratch,
  env: NodeJS.ProcessEnv,
  timeoutMs: number,
): Promise<void> {
  const own = mountsFileIn(scratch);
  await removeWorkingContainersWhere(
    scratch,
    async mounts => mounts === own,
    env,
    AbortSignal.timeout(timeoutMs),
  );
}

/**
 * Removes the working containers of earlier builds on this host whose builder was killed or ran out of time. Working
 * containers of running builds stay, and so do containers that do not belong to a build below the same root.
 *
 * @param signal ends the sweep at once
 * @param enough ends the sweep after the container it is at. The next build removes the rest
 * @throws BuildFailure when buildah does not start or cannot remove a container; then the others are gone
 * @throws ChildError when the signal aborts
 */
export async function sweepWorkingContainers(
  scratch: Scratch,
  env: NodeJS.ProcessEnv,
  { signal, enough }: { signal: AbortSignal; enough: AbortSignal },
): Promise<void> {
  // Checked after the container was listed: a build has containers only while its buildah runs, and runs buildah only once.
  const isDead = async (mounts: string) =>
    isMountsFileBeside(scratch, mounts) && !(await isProcessArgument(mounts));
  await removeWorkingContainersWhere(scratch, isDead, env, signal, enough);
}

/**
 * Removes the working containers whose mounts file is meant. buildah opens, and creates, the network folder that a container
 * was created with before it inspects or removes the container. That folder is a relative path (BuildahFiles), so it is
 * created in the scratch folder of this build: the unit sees all other work folders read-only.
 */
async function removeWorkingContainersWhere(
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
  // A container that disappeared in the meantime belonged to a build that ended.
  const isDone = ({ code, stderrTail }: ToolResult, id: string, what: string) => {
    const reason = failureReason(stderrTail, /^Error: /);
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

/** Whether a path is the mounts file of another build, whose work folder is or was beside that of this build. */
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
