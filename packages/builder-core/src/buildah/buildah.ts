import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFailure, meansNoSpace } from '../build-failure.ts';
import type { Tracker } from '../progress.ts';
import { openAuthFile } from '../registry/auth-file.ts';
import { ensureImage, inspectBaseImage, type PullOptions } from '../registry/base-image.ts';
import { readImagePolicy } from '../registry/image-policy.ts';
import type { RegistryDigests } from '../registry/registry-digests.ts';
import { registryOf } from '../request/image-name.ts';
import type { Credentials } from '../request/repo-url.ts';
import type { Scratch } from '../scratch.ts';
import { type FoundImage, labelOf, readBaseImages } from '../stacks/base-images.ts';
import type { BuildPlan } from '../stacks/stack.ts';
import type { LayerCache } from '../storage/layer-cache.ts';
import type { StorageAdditions } from '../storage/storage-additions.ts';
import { readStore, type Store } from '../storage/storage-records.ts';
import { mountsFileIn, removeWorkingContainers } from '../storage/working-containers.ts';
import type { OutputLine } from '../tools/output-lines.ts';
import { failureReason, runTool, type Tool } from '../tools/run-tool.ts';
import { type BuildahFiles, type BuildOptions, buildInvocation, type Layers } from './buildah-arguments.ts';
import { openStepGate, untilAllIsRead } from './step-gate.ts';

export interface BuildahOptions {
  scratch: Scratch;
  env: NodeJS.ProcessEnv;
  tracker: Tracker;
  signal: AbortSignal;
  targetImage: string;
  /** The layer cache. Absent: no layers are kept. */
  cache?: LayerCache;
  /** The local images that the request permits. */
  baseImages: readonly string[];
  /** The login at the registry of the target image, for base images in that registry, too. Absent: no login. */
  auth?: Credentials;
  store: Store;
  storage: StorageAdditions;
  digests: RegistryDigests;
}

export interface Built {
  /** The id of the image. */
  id: string;
  /** The cached images whose layers the build reused. */
  used: string[];
}

/**
 * Builds and tags the image.
 *
 * @throws BuildFailure, ChildError `aborted` when the signal aborts
 */
export async function runBuild(plan: BuildPlan, options: BuildahOptions): Promise<Built> {
  const { scratch, env, tracker, cache } = options;
  const files = filesIn(scratch);
  const policy = await readImagePolicy();
  if (policy !== undefined) {
    files.policy = join(scratch.folder, 'policy.json');
    await writeFile(files.policy, policy);
  }
  const { containerfile, needsAllStages } = await pinBaseImages(plan, options, files.policy);
  await Promise.all([
    writeFile(files.containerfile, containerfile),
    writeFile(files.ignore, plan.ignore),
    writeFile(files.mounts, ''),
    mkdir(files.empty),
  ]);
  const { targetImage } = options;
  const build = (layers: Layers) => runBuildah(plan, files, { targetImage, layers, needsAllStages }, options);
  const ended = await build(cache === undefined ? 'none' : 'kept');
  if (!ended.isForeign) return { id: await imageIdOf(ended, files, plan), used: ended.used };
  tracker.log('another build has made a layer for the same step: building again without reusing layers');
  await removeWorkingContainers(scratch, env, 30_000);
  return { id: await imageIdOf(await build('anew'), files, plan), used: [] };
}

/** How buildah ended. */
interface BuildahResult {
  code: number | null;
  stderrTail: readonly string[];
  /** The images that buildah reused for steps. */
  used: string[];
  /** Whether an image that buildah reused does not belong to the cache. */
  isForeign: boolean;
}

/** Runs buildah. Ends it at once when it reuses an image for a step that the cache does not have. */
async function runBuildah(
  plan: BuildPlan,
  files: BuildahFiles,
  build: BuildOptions,
  { env, scratch, signal, tracker, cache }: BuildahOptions,
): Promise<BuildahResult> {
  const foreign = new AbortController();
  const used: string[] = [];
  let heard = 0;
  // When a step asks, everything that buildah printed before is already in its pipe.
  const mayRun = async () => {
    await untilAllIsRead(() => heard);
    return !foreign.signal.aborted;
  };
  using gate = plan.runs && build.layers === 'kept' ? await openStepGate(scratch, mayRun) : undefined;
  const {
    program,
    args,
    env: own,
  } = buildInvocation(plan, files, {
    ...build,
    ...(gate === undefined ? {} : { containerRuntime: gate.runtime }),
  });
  const tool: Tool = {
    env: { ...own, ...env },
    stage: 'buildah',
    cwd: scratch.folder,
    signal: AbortSignal.any([signal, foreign.signal]),
    onLines: (lines: OutputLine[]) => {
      heard += 1;
      follow(lines, tracker);
      for (const { text } of lines) {
        // A step may print such a line as well. It then only makes its own build start again.
        const image = /^--> Using cache ([0-9a-f]{64})\s*$/.exec(text)?.[1];
        if (image === undefined || build.layers !== 'kept') continue;
        used.push(image);
        if (cache?.has(image) !== true) foreign.abort();
      }
    },
  };
  try {
    const { code, stderrTail } = await runTool(program, args, tool);
    return { code, stderrTail, used, isForeign: foreign.signal.aborted };
  } catch (error) {
    if (foreign.signal.aborted && !signal.aborted)
      return { code: null, stderrTail: [], used, isForeign: true };
    throw error;
  }
}

async function imageIdOf(
  { code, stderrTail }: BuildahResult,
  files: BuildahFiles,
  plan: BuildPlan,
): Promise<string> {
  if (code !== 0) throw buildahFailure(stderrTail, plan.runs);
  const id = (await readFile(files.imageId, 'utf8')).trim().replace(/^sha256:/, '');
  if (!/^[0-9a-f]{64}$/.test(id)) throw new BuildFailure(500, 'buildah', 'buildah wrote no image id');
  return id;
}

/** Pulls and checks the base images, and returns the Containerfile with these images named by id. */
async function pinBaseImages(
  plan: BuildPlan,
  { scratch, env, tracker, signal, store, storage, digests, baseImages, targetImage, auth }: BuildahOptions,
  policy: string | undefined,
): Promise<{ containerfile: string; needsAllStages: boolean }> {
  const bases = readBaseImages(plan.containerfile, { ...plan, platform: machinePlatform() });
  // The logins are removed before a step of the build runs: by then all images are in the storage.
  await using logins = await openAuthFile(registryOf(targetImage), auth, scratch.folder);
  const options: PullOptions = {
    scratch,
    env,
    signal,
    store,
    storage,
    digests,
    permitted: baseImages,
    logins,
    log: tracker.log,
    ...(policy === undefined ? {} : { policy }),
  };
  const found = new Map<string, FoundImage>();
  for (const image of bases.images) {
    const label = labelOf(image);
    const id = await ensureImage(image, options);
    tracker.log(`base image ${label} is ${id}`);
    found.set(label, await inspectBaseImage(id, image, plan.runs, options));
  }
  for (const name of bases.copied)
    if (!found.has(name)) found.set(name, { id: await ensureImage({ name }, options) });
  // buildah finds these by name once they are in the storage.
  const { images, areStages } = bases.copiedByTriggers(found);
  for (const name of images) await ensureImage({ name }, options);
  return { containerfile: bases.pin(found), needsAllStages: areStages };
}

/**
 * Returns the digest of an image, by id since another build may have taken the tag. It is the digest that `podman image
 * inspect` shows, not that of the base image (docs/contract.md §7).
 *
 * @throws BuildFailure 500 when the image is gone
 */
export async function digestOf(id: string, store: Store): Promise<string> {
  const digest = (await readStore(store)).images.get(id)?.digests[0];
  if (digest === undefined) throw new BuildFailure(500, 'digest', `the image that was built is gone: ${id}`);
  return digest;
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

function buildahFailure(stderrTail: readonly string[], runs: boolean): BuildFailure {
  const reason = failureReason(stderrTail, /^Error: /);
  const said = stderrTail.join('\n');
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

const architectures: Record<string, string> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** Returns the platform of this machine in the notation of images, for example `linux/amd64`. */
function machinePlatform(): string {
  return `linux/${architectures[process.arch] ?? process.arch}`;
}
