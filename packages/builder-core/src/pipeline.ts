import { ChildError } from '@coold/runtime/child';
import { removeAbandonedImages } from './abandoned-images.ts';
import type { Stage } from './build-failure.ts';
import type { BuildRequest, PushRequest, StackRequest } from './build-request.ts';
import { digestOf, runBuild } from './buildah.ts';
import { overQuota, untilOverQuota } from './disk-quota.ts';
import { checkOut } from './git.ts';
import { insecureRegistries } from './insecure-registries.ts';
import { limitLayerCache, openLayerCache } from './layer-cache.ts';
import { writeNoLogins } from './no-logins.ts';
import { type OpenStorage, openStorage } from './open-storage.ts';
import { createTracker, type Progress, type Tracker } from './progress.ts';
import { pushImage } from './push.ts';
import { removeAdded } from './remove-added.ts';
import type { Scratch } from './scratch.ts';
import { checkSupported, planStack } from './stacks/plan-stack.ts';
import { toolEnvironment } from './tool-environment.ts';
import { removeWorkingContainers, sweepWorkingContainers } from './working-containers.ts';

export interface PipelineOptions {
  scratch: Scratch;
  /** Of which tools see a part. */
  env: NodeJS.ProcessEnv;
  /** Ends the build with everything it has started. */
  signal: AbortSignal;
  report: (progress: Progress) => void;
  limits: DiskLimits;
  gitSilenceMs?: number;
  pushSilenceMs?: number;
}

/** In bytes; Infinity for none. */
export interface DiskLimits {
  /** Of one build: its work folder and what it adds to the storage of images. */
  disk: number;
  /** Of the layers that builds with a cache key keep, all together. */
  cache: number;
}

export interface BuiltImage {
  /** Of the image that was built; where it was pushed, of its manifest there. */
  digest: string;
  /** `<target>@<digest>` */
  registryRef: string;
  stackUsed: StackRequest['name'];
}

/** The build was ended from outside. */
export class BuildCancelled extends Error {
  constructor() {
    super('cancelled');
    this.name = 'BuildCancelled';
  }
}

/** For removing what earlier builds left, in ms. */
const sweepMs = 20_000;

/** From a repository to an image in the host's storage and, where that is asked for, its registry. @throws BuildFailure, BuildCancelled */
export async function buildImage(request: BuildRequest, options: PipelineOptions): Promise<BuiltImage> {
  const { signal } = options;
  try {
    checkSupported(request.stack);
    return await runStages(request, options);
  } catch (error) {
    // A cancel goes to every process of the unit, so a tool may have died of it before we have heard.
    await abortedWithin(signal, 250);
    if (signal.aborted || (error instanceof ChildError && error.reason === 'aborted'))
      throw new BuildCancelled();
    throw error;
  }
}

async function runStages(request: BuildRequest, options: PipelineOptions): Promise<BuiltImage> {
  const { scratch, limits } = options;
  const env = toolEnvironment(options.env, scratch.folder);
  const ended = new AbortController();
  const quota = new AbortController();
  let stage: Stage = 'request';
  const tracker = createTracker(progress => {
    stage = progress.stage;
    options.report(progress);
  });
  const signal = AbortSignal.any([options.signal, quota.signal]);
  // Asked beside git, which takes longer; what it throws is thrown where the storage is needed.
  const opening = openStorage(scratch, env, signal);
  opening.catch(() => {});
  // Beside the build, which does not wait for it: what it does not get to is for the next one.
  const swept = sweep(opening, {
    ...{ scratch, env, enough: ended.signal },
    signal: AbortSignal.any([signal, AbortSignal.timeout(sweepMs)]),
  }).catch((error: Error) => {
    if (!signal.aborted) tracker.log(`what an earlier build left stays for now: ${error.message}`);
  });
  const exceeded = opening
    .then(opened => untilOverQuota(limits.disk, { ...opened, scratch, signal: ended.signal }))
    .then(used => {
      if (used === undefined) return undefined;
      const failure = overQuota(stage, used, limits.disk);
      quota.abort();
      return failure;
    })
    .catch(() => undefined); // a storage that cannot be read is an error of the stage that needs it
  try {
    return await runEach(request, { ...options, signal, cancel: options.signal }, { env, tracker, opening });
  } catch (error) {
    ended.abort();
    throw (options.signal.aborted ? undefined : await exceeded) ?? error;
  } finally {
    // Its programs have the scratch folder as their home, which goes next.
    ended.abort();
    await swept;
    await opening.then(opened => opened.close()).catch(() => {});
  }
}

/** What builds left that were killed: working containers, then the images that were made in them. */
async function sweep(
  opening: Promise<OpenStorage>,
  {
    scratch,
    env,
    signal,
    enough,
  }: { scratch: Scratch; env: NodeJS.ProcessEnv; signal: AbortSignal; enough: AbortSignal },
): Promise<void> {
  await sweepWorkingContainers(scratch, env, { signal, enough });
  const { store, removeImage } = await opening;
  await removeAbandonedImages(store, async image => !enough.aborted && (await removeImage(image)));
}

async function runEach(
  request: BuildRequest,
  options: PipelineOptions & { cancel: AbortSignal },
  { env, tracker, opening }: { env: NodeJS.ProcessEnv; tracker: Tracker; opening: Promise<OpenStorage> },
): Promise<BuiltImage> {
  const { scratch, signal, cancel, limits } = options;
  await writeNoLogins(scratch.folder);
  tracker.enter('git', 40);
  await checkOut(request.repo, request.gitRef, {
    scratch,
    env,
    tracker,
    signal,
    ...(options.gitSilenceMs === undefined ? {} : { silenceMs: options.gitSilenceMs }),
  });
  tracker.enter('stack', 45);
  const plan = await planStack(scratch.checkout, request.stack);
  const { targetImage, baseImages = [], cacheKey, push } = request;
  tracker.enter('buildah', push === undefined ? 95 : 80);
  const { store, storage, removeImage } = await opening;
  const cache = cacheKey === undefined ? undefined : await openLayerCache(store, cacheKey, request.repo.url);
  const own = { scratch, env, tracker, signal, targetImage };
  const login = push?.auth === undefined ? {} : { auth: push.auth };
  try {
    const { id, used } = await runBuild(plan, {
      ...{ ...own, ...login, store, storage, baseImages },
      ...(cache && { cache }),
    });
    const digest = await (push === undefined
      ? digestHere({ ...own, id })
      : digestThere({ ...own, id }, push, options));
    if (cache !== undefined) {
      const made = (await storage.images()).filter(({ isTaken }) => !isTaken);
      await cache.keep([id, ...used, ...made.map(image => image.id)]);
      await limitLayerCache(store, limits.cache, removeImage);
    }
    return { digest, registryRef: `${targetImage}@${digest}`, stackUsed: request.stack.name };
  } catch (error) {
    await removeLeftovers(opening, { scratch, env, tracker, timeoutMs: cancel.aborted ? 800 : 30_000 });
    throw error;
  }
}

/** What a build that failed leaves in the storage goes: working containers, then layers. */
async function removeLeftovers(
  opening: Promise<OpenStorage>,
  { tracker, ...tool }: { scratch: Scratch; env: NodeJS.ProcessEnv; tracker: Tracker; timeoutMs: number },
): Promise<void> {
  const { storage } = await opening;
  const begun = performance.now();
  await removeWorkingContainers(tool.scratch, tool.env, tool.timeoutMs).catch(() => {
    tracker.log('working containers of this build may remain: buildah did not answer in time');
  });
  const timeoutMs = Math.max(0, Math.round(tool.timeoutMs - (performance.now() - begun)));
  const kept = await removeAdded(storage, { ...tool, timeoutMs }).catch((error: Error) => [error.message]);
  if (kept.length > 0) tracker.log(`images of this build remain: ${kept.join(', ')}`);
}

interface Built {
  scratch: Scratch;
  env: NodeJS.ProcessEnv;
  tracker: Tracker;
  signal: AbortSignal;
  id: string;
  targetImage: string;
}

function digestHere({ tracker, id, env, signal }: Built): Promise<string> {
  tracker.enter('digest', 99);
  return digestOf(id, env, signal);
}

function digestThere(built: Built, { auth }: PushRequest, options: PipelineOptions): Promise<string> {
  built.tracker.enter('push', 99);
  return pushImage({
    ...built,
    insecure: insecureRegistries(options.env),
    ...(auth === undefined ? {} : { auth }),
    ...(options.pushSilenceMs === undefined ? {} : { silenceMs: options.pushSilenceMs }),
  });
}

function abortedWithin(signal: AbortSignal, ms: number): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
