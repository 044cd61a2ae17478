import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lookAt, pullImage } from './base-image.ts';
import { BuildFailure, meansNoSpace } from './build-failure.ts';
import { type BuildahFiles, buildInvocation } from './buildah-arguments.ts';
import { readImagePolicy } from './image-policy.ts';
import { machinePlatform } from './machine-platform.ts';
import type { OutputLine } from './output-lines.ts';
import type { Tracker } from './progress.ts';
import { reasonIn, runTool } from './run-tool.ts';
import type { Scratch } from './scratch.ts';
import { type FoundImage, labelOf, readBaseImages } from './stacks/base-images.ts';
import type { BuildPlan } from './stacks/stack.ts';
import { mountsFileIn } from './working-containers.ts';

export interface BuildahOptions {
  scratch: Scratch;
  env: NodeJS.ProcessEnv;
  tracker: Tracker;
  signal: AbortSignal;
  targetImage: string;
  keepLayers: boolean;
}

/**
 * Builds and tags the image.
 *
 * @returns its id
 * @throws BuildFailure
 */
export async function runBuild(plan: BuildPlan, options: BuildahOptions): Promise<string> {
  const { scratch, env, tracker, signal } = options;
  const files = filesIn(scratch);
  const policy = await readImagePolicy();
  if (policy !== undefined) {
    files.policy = join(scratch.folder, 'policy.json');
    await writeFile(files.policy, policy);
  }
  const { containerfile, root } = await pinBases(plan, options, files.policy);
  await Promise.all([
    writeFile(files.containerfile, containerfile),
    writeFile(files.ignore, plan.ignore),
    writeFile(files.mounts, ''),
    mkdir(files.empty),
  ]);
  const base = root === undefined ? {} : { base: root };
  const { program, args } = buildInvocation(plan, files, { ...options, ...base });
  const { code, lastWords } = await runTool(program, args, {
    env,
    stage: 'buildah',
    signal,
    cwd: scratch.folder,
    onLines: lines => follow(lines, tracker),
  });
  if (code !== 0) throw buildahFailure(lastWords, plan.runs);
  const id = (await readFile(files.imageId, 'utf8')).trim().replace(/^sha256:/, '');
  if (!/^[0-9a-f]{64}$/.test(id)) throw new BuildFailure(500, 'buildah', 'buildah named no image');
  return id;
}

/**
 * Takes the images that are built on, and lets the build have these very ones, once it is seen that none asks for what it
 * shall not have.
 */
async function pinBases(
  plan: BuildPlan,
  { scratch, env, tracker, signal }: BuildahOptions,
  policy: string | undefined,
): Promise<{ containerfile: string; root: string | undefined }> {
  const bases = readBaseImages(plan.containerfile, { ...plan, platform: machinePlatform() });
  const pull = { scratch, env, signal, log: tracker.log, ...(policy === undefined ? {} : { policy }) };
  const found = new Map<string, FoundImage>();
  for (const image of bases.images) {
    const id = await pullImage(image, pull);
    tracker.log(`base image ${labelOf(image)} is ${id}`);
    found.set(labelOf(image), await lookAt(id, image, plan.runs, pull));
  }
  for (const name of bases.copied)
    if (!found.has(labelOf({ name }))) found.set(labelOf({ name }), { id: await pullImage({ name }, pull) });
  return { containerfile: bases.pin(found), root: bases.root?.name };
}

/**
 * The digest of an image by its id, since the tag may have gone to another build by now; the one that `podman image
 * inspect` shows, not that of its base (docs/contract.md §7).
 *
 * @throws BuildFailure
 */
export async function digestOf(id: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  // Not `inspect`, which takes a lock in /etc, read-only in the sandbox.
  const { code, stdout, lastWords } = await runTool('buildah', ['images', '--json', '--no-trunc', '--', id], {
    env,
    stage: 'digest',
    signal,
    timeoutMs: 60_000,
  });
  const digest = code === 0 ? digestIn(stdout) : undefined;
  if (digest === undefined)
    throw new BuildFailure(
      500,
      'digest',
      `buildah does not know the image it built: ${reasonIn(lastWords, /^Error: /)}`,
    );
  return digest;
}

/** Removes an image that a failed build has made; best effort. @param timeoutMs for all of it */
export async function removeImage(id: string, env: NodeJS.ProcessEnv, timeoutMs: number): Promise<void> {
  await runTool('buildah', ['rmi', '--', id], { env, stage: 'buildah', timeoutMs }).catch(() => undefined);
}

function digestIn(json: string): string | undefined {
  const images: unknown = JSON.parse(json);
  const [image]: unknown[] = Array.isArray(images) ? images : [];
  if (typeof image !== 'object' || image === null || !('digest' in image)) return undefined;
  const { digest } = image;
  return typeof digest === 'string' && /^sha256:[0-9a-f]{64}$/.test(digest) ? digest : undefined;
}

function filesIn(scratch: Scratch): BuildahFiles {
  const { folder } = scratch;
  return {
    containerfile: join(folder, 'Containerfile'),
    ignore: join(folder, 'ignore'),
    mounts: mountsFileIn(scratch),
    imageId: join(folder, 'image-id'),
    empty: join(folder, 'empty'),
    networks: 'networks',
    runtime: join(folder, 'runtime'),
  };
}

function buildahFailure(lastWords: readonly string[], runs: boolean): BuildFailure {
  const reason = reasonIn(lastWords, /^Error: /);
  const said = lastWords.join('\n');
  if (meansNoSpace(said)) return new BuildFailure(507, 'buildah', `no room on the disk: ${reason}`);
  const registry =
    /initializing source|pinging container registry|reading manifest|reading blob|unable to pull|no such host/;
  if (registry.test(said))
    return new BuildFailure(502, 'buildah', `a base image could not be pulled: ${reason}`);
  return new BuildFailure(runs ? 422 : 500, 'buildah', reason);
}

function follow(lines: readonly OutputLine[], tracker: Tracker): void {
  for (const { text } of lines) {
    const [, step = '', of = ''] = /^(?:\[\d+\/\d+\] )?STEP (\d+)\/(\d+): /.exec(text) ?? [];
    if (step !== '') tracker.advance((Number(step) - 1) / Number(of));
  }
  const kept = lines.filter(({ text }) => text.trim() !== '');
  if (kept.length > 0) tracker.log(kept.map(({ text }) => text).join('\n'));
}
