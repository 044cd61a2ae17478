import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openAuthFile } from './auth-file.ts';
import { lookAt, type PullOptions, takeImage } from './base-image.ts';
import { BuildFailure, meansNoSpace } from './build-failure.ts';
import { type BuildahFiles, type BuildOptions, buildInvocation, type Layers } from './buildah-arguments.ts';
import { readImagePolicy } from './image-policy.ts';
import type { LayerCache } from './layer-cache.ts';
import { machinePlatform } from './machine-platform.ts';
import type { OutputLine } from './output-lines.ts';
import type { OwnStorage } from './own-storage.ts';
import type { Tracker } from './progress.ts';
import { registryOf } from './registry-name.ts';
import type { Credentials } from './repo-url.ts';
import { reasonIn, runTool, type Tool } from './run-tool.ts';
import type { Scratch } from './scratch.ts';
import { type FoundImage, labelOf, readBaseImages } from './stacks/base-images.ts';
import type { BuildPlan } from './stacks/stack.ts';
import type { Store } from './storage-records.ts';
import { mountsFileIn, removeWorkingContainers } from './working-containers.ts';

export interface BuildahOptions {
  scratch: Scratch;
  env: NodeJS.ProcessEnv;
  tracker: Tracker;
  signal: AbortSignal;
  targetImage: string;
  /** Where layers are kept; absent: none are. */
  cache?: LayerCache;
  /** Images of this host that the request permits. */
  baseImages: readonly string[];
  /** What the registry of the target is told, also for images that are built on; absent: nothing. */
  auth?: Credentials;
  store: Store;
  storage: OwnStorage;
}

export interface Built {
  /** The id of the image. */
  id: string;
  /** Images of the cache whose layers are in it. */
  used: string[];
}

/**
 * Builds and tags the image.
 *
 * @throws BuildFailure
 */
export async function runBuild(plan: BuildPlan, options: BuildahOptions): Promise<Built> {
  const { scratch, env, tracker, cache } = options;
  const files = filesIn(scratch);
  const policy = await readImagePolicy();
  if (policy !== undefined) {
    files.policy = join(scratch.folder, 'policy.json');
    await writeFile(files.policy, policy);
  }
  const { containerfile, needsAllStages } = await pinBases(plan, options, files.policy);
  await Promise.all([
    writeFile(files.containerfile, containerfile),
    writeFile(files.ignore, plan.ignore),
    writeFile(files.mounts, ''),
    mkdir(files.empty),
  ]);
  const { targetImage } = options;
  const build = (layers: Layers) => runBuildah(plan, files, { targetImage, layers, needsAllStages }, options);
  const ended = await build(cache === undefined ? 'none' : 'kept');
  if (!ended.isForeign) return { id: await builtIn(ended, files, plan), used: ended.used };
  tracker.log('a step is here as another build has made it: this one makes its own, without looking for any');
  await removeWorkingContainers(scratch, env, 30_000);
  return { id: await builtIn(await build('anew'), files, plan), used: [] };
}

interface Ended {
  code: number | null;
  lastWords: readonly string[];
  /** Images whose layers were taken for steps. */
  used: string[];
  /** Another build has made one of them. */
  isForeign: boolean;
}

/** Ends at once when buildah takes an image for a step that the cache does not have. */
async function runBuildah(
  plan: BuildPlan,
  files: BuildahFiles,
  build: BuildOptions,
  { env, scratch, signal, tracker, cache }: BuildahOptions,
): Promise<Ended> {
  const { program, args } = buildInvocation(plan, files, build);
  const foreign = new AbortController();
  const used: string[] = [];
  const tool: Tool = {
    env,
    stage: 'buildah',
    cwd: scratch.folder,
    signal: AbortSignal.any([signal, foreign.signal]),
    onLines: (lines: OutputLine[]) => {
      follow(lines, tracker);
      for (const { text } of lines) {
        // A step may say so as well, and has its own build made anew by it.
        const image = /^--> Using cache ([0-9a-f]{64})\s*$/.exec(text)?.[1];
        if (image === undefined || build.layers !== 'kept') continue;
        used.push(image);
        if (cache?.has(image) !== true) foreign.abort();
      }
    },
  };
  try {
    const { code, lastWords } = await runTool(program, args, tool);
    return { code, lastWords, used, isForeign: foreign.signal.aborted };
  } catch (error) {
    if (foreign.signal.aborted && !signal.aborted)
      return { code: null, lastWords: [], used, isForeign: true };
    throw error;
  }
}

async function builtIn({ code, lastWords }: Ended, files: BuildahFiles, plan: BuildPlan): Promise<string> {
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
  { scratch, env, tracker, signal, store, storage, baseImages, targetImage, auth }: BuildahOptions,
  policy: string | undefined,
): Promise<{ containerfile: string; needsAllStages: boolean }> {
  const bases = readBaseImages(plan.containerfile, { ...plan, platform: machinePlatform() });
  // Closed before a step of the build runs: by then all images are here.
  await using logins = await openAuthFile(registryOf(targetImage), auth, scratch.folder);
  const options: PullOptions = {
    ...{ scratch, env, signal, store, storage, permitted: baseImages, logins, log: tracker.log },
    ...(policy === undefined ? {} : { policy }),
  };
  const found = new Map<string, FoundImage>();
  for (const image of bases.images) {
    const label = labelOf(image);
    const id = await takeImage(image, options);
    tracker.log(`base image ${label} is ${id}`);
    found.set(label, await lookAt(id, image, plan.runs, options));
  }
  for (const name of bases.copied)
    if (!found.has(name)) found.set(name, { id: await takeImage({ name }, options) });
  // buildah finds these by their names once they are here.
  const { images, areStages } = bases.copiedByTriggers(found);
  for (const name of images) await takeImage({ name }, options);
  return { containerfile: bases.pin(found), needsAllStages: areStages };
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
