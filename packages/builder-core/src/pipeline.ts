import { ChildError } from '@coold/runtime/child';
import { pause } from '@coold/runtime/pause';
import { errorMessage } from '@coold/runtime/unknown-values';
import type { BuildFailure, Stage } from './build-failure.ts';
import { type Built, digestOf, runBuild } from './buildah/buildah.ts';
import { overQuota, untilOverQuota } from './disk/disk-quota.ts';
import type { DiskAmount } from './disk/disk-usage.ts';
import { createTracker, type Progress, type Tracker } from './progress.ts';
import { insecureRegistries, pushImage } from './registry/push.ts';
import { openRegistryDigests, type RegistryDigests } from './registry/registry-digests.ts';
import { checkOut } from './repository/git.ts';
import type { BuildRequest, PushRequest, StackRequest } from './request/build-request.ts';
import type { Scratch } from './scratch.ts';
import { checkSupported, planStack } from './stacks/plan-stack.ts';
import type { BuildPlan } from './stacks/stack.ts';
import { removeAbandonedImages } from './storage/abandoned-images.ts';
import { type LayerCache, limitLayerCache, openLayerCache } from './storage/layer-cache.ts';
import { type OpenStorage, openStorage } from './storage/open-storage.ts';
import { removeAddedImages } from './storage/remove-added-images.ts';
import type { StorageAdditions } from './storage/storage-additions.ts';
import type { Store } from './storage/storage-records.ts';
import { removeWorkingContainers, sweepWorkingContainers } from './storage/working-containers.ts';
import { toolEnvironment, writeEmptyAuthFile } from './tools/tool-environment.ts';

export interface PipelineOptions {
  scratch: Scratch;
  /** The environment of this process. Tools get a part of it, see toolEnvironment. */
  env: NodeJS.ProcessEnv;
  /** Cancels the build and ends every program that it started. */
  signal: AbortSignal;
  report: (progress: Progress) => void;
  limits: DiskLimits;
  gitSilenceMs?: number;
  pushSilenceMs?: number;
}

/** What builds may use of the disk. Infinity means no limit. */
export interface DiskLimits {
  /** The limit of one build: its work folder and what it adds to the image storage. */
  disk: DiskAmount;
  /** The limit of all layers that builds with a cache key keep, in bytes. */
  cache: number;
}

export interface BuiltImage {
  /** The digest of the image, or of its manifest in the registry when it was pushed. */
  digest: string;
  /** `<target>@<digest>` */
  registryRef: string;
  stackUsed: StackRequest['name'];
}

/** The build was cancelled by its signal. */
export class BuildCancelled extends Error {
  constructor() {
    super('cancelled');
    this.name = 'BuildCancelled';
  }
}

/** How long the removal of what killed builds left may take, in ms. */
const sweepMs = 20_000;
/** How long the clean-up after a failed build may take, in ms. A cancelled build must be gone within 2 s (docs/contract.md §7). */
const cleanUpMs = { cancelled: 800, failed: 30_000 };
/** A cancel reaches every process of the unit at once, so a tool may end before this process gets its signal; in ms. */
const cancelDelayMs = 250;

/**
 * Builds an image from a repository into the storage of this host, and pushes it where the request asks for that.
 *
 * @throws BuildFailure when the build fails, BuildCancelled when the signal aborts
 */
export async function buildImage(request: BuildRequest, options: PipelineOptions): Promise<BuiltImage> {
  const { signal } = options;
  try {
    checkSupported(request.stack);
    return await new BuildRun(request, options).run();
  } catch (error) {
    await pause(cancelDelayMs, signal);
    if (signal.aborted || (error instanceof ChildError && error.reason === 'aborted'))
      throw new BuildCancelled();
    throw error;
  }
}

/**
 * One run of a build through its stages: git → stack → buildah → digest, or push in place of digest. Beside the stages, two
 * activities run until the build ends: a sweep of what killed builds left, and the watch of the disk quota.
 */
class BuildRun {
  readonly #request: BuildRequest;
  readonly #options: PipelineOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #tracker: Tracker;
  /** The stage that the run is in. */
  #stage: Stage = 'request';
  /** Aborts when the build has ended: the sweep and the quota watch then end, too. */
  readonly #ended = new AbortController();
  /** Aborts when the build exceeds its disk quota. */
  readonly #overQuota = new AbortController();
  /** Aborts when the build is cancelled or exceeds its quota: every tool ends. */
  readonly #signal: AbortSignal;
  /** The storage, opened while git fetches, which takes longer. Its error is thrown in the stage that needs the storage. */
  readonly #opening: Promise<OpenStorage>;

  constructor(request: BuildRequest, options: PipelineOptions) {
    const { scratch, report } = options;
    this.#request = request;
    this.#options = options;
    this.#env = toolEnvironment(options.env, scratch.folder);
    this.#tracker = createTracker(progress => {
      this.#stage = progress.stage;
      report(progress);
    });
    this.#signal = AbortSignal.any([options.signal, this.#overQuota.signal]);
    this.#opening = openStorage(scratch, this.#env, this.#signal);
    this.#opening.catch(() => {});
  }

  /** Runs all stages. Call it once. @throws BuildFailure, ChildError, Error */
  async run(): Promise<BuiltImage> {
    const swept = this.#sweep();
    const exceeded = this.#watchQuota();
    try {
      return await this.#runStages();
    } catch (error) {
      this.#ended.abort();
      throw (this.#options.signal.aborted ? undefined : await exceeded) ?? error;
    } finally {
      // The programs of the sweep use the scratch folder as their home, and the caller removes it next.
      this.#ended.abort();
      await swept;
      await this.#opening.then(opened => opened.close()).catch(() => {});
    }
  }

  /** Removes what killed builds left: working containers, then the images made in them. Never rejects; the next build removes the rest. */
  async #sweep(): Promise<void> {
    const enough = this.#ended.signal;
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(sweepMs)]);
    try {
      await sweepWorkingContainers(this.#options.scratch, this.#env, { signal, enough });
      const { store, removeImage } = await this.#opening;
      await removeAbandonedImages(store, async image => !enough.aborted && (await removeImage(image)));
    } catch (error) {
      if (!this.#signal.aborted)
        this.#tracker.log(`cannot remove everything that earlier builds left: ${errorMessage(error)}`);
    }
  }

  /** Ends the build when it exceeds its quota. Returns the failure, undefined when the build ends otherwise. Never rejects. */
  async #watchQuota(): Promise<BuildFailure | undefined> {
    const { scratch, limits } = this.#options;
    try {
      const opened = await this.#opening;
      const excess = await untilOverQuota(limits.disk, { ...opened, scratch, signal: this.#ended.signal });
      if (excess === undefined) return undefined;
      const failure = overQuota(this.#stage, excess, limits.disk);
      this.#overQuota.abort();
      return failure;
    } catch {
      return undefined; // the stage that needs the storage throws the error
    }
  }

  async #runStages(): Promise<BuiltImage> {
    const { scratch } = this.#options;
    const { stack, targetImage, push } = this.#request;
    await writeEmptyAuthFile(scratch.folder);
    const digests = openRegistryDigests(scratch, this.#env, this.#signal);
    this.#tracker.enter('git', 40);
    await this.#checkOut();
    this.#tracker.enter('stack', 45);
    const plan = await planStack(scratch.checkout, stack);
    this.#tracker.enter('buildah', push === undefined ? 95 : 80);
    const opened = await this.#opening;
    const cache = await this.#openCache(opened.store);
    try {
      const built = await this.#build(plan, opened, digests, cache);
      const digest = await (push === undefined
        ? this.#digest(built.id, opened.store)
        : this.#push(built.id, opened.store, push));
      if (cache !== undefined) await this.#keepLayers(built, opened, cache);
      return { digest, registryRef: `${targetImage}@${digest}`, stackUsed: stack.name };
    } catch (error) {
      await this.#cleanUp(opened.storage);
      throw error;
    }
  }

  #checkOut(): Promise<string> {
    const { scratch, gitSilenceMs } = this.#options;
    return checkOut(this.#request.repo, this.#request.gitRef, {
      scratch,
      env: this.#env,
      tracker: this.#tracker,
      signal: this.#signal,
      ...(gitSilenceMs === undefined ? {} : { silenceMs: gitSilenceMs }),
    });
  }

  /** Returns the layer cache of the request, undefined where it has no cache key. */
  async #openCache(store: Store): Promise<LayerCache | undefined> {
    const { cacheKey, repo } = this.#request;
    return cacheKey === undefined ? undefined : openLayerCache(store, cacheKey, repo.url);
  }

  #build(
    plan: BuildPlan,
    { store, storage }: OpenStorage,
    digests: RegistryDigests,
    cache: LayerCache | undefined,
  ): Promise<Built> {
    const { targetImage, baseImages = [], push } = this.#request;
    return runBuild(plan, {
      scratch: this.#options.scratch,
      env: this.#env,
      tracker: this.#tracker,
      signal: this.#signal,
      targetImage,
      store,
      storage,
      digests,
      baseImages,
      ...(push?.auth === undefined ? {} : { auth: push.auth }),
      ...(cache === undefined ? {} : { cache }),
    });
  }

  #digest(id: string, store: Store): Promise<string> {
    this.#tracker.enter('digest', 99);
    return digestOf(id, store);
  }

  #push(id: string, store: Store, { auth }: PushRequest): Promise<string> {
    const { scratch, env, pushSilenceMs } = this.#options;
    this.#tracker.enter('push', 99);
    return pushImage({
      scratch,
      env: this.#env,
      tracker: this.#tracker,
      signal: this.#signal,
      store,
      id,
      targetImage: this.#request.targetImage,
      insecure: insecureRegistries(env),
      ...(auth === undefined ? {} : { auth }),
      ...(pushSilenceMs === undefined ? {} : { silenceMs: pushSilenceMs }),
    });
  }

  /** Records the layers of this build in the cache, and removes old ones beyond the limit of all caches. */
  async #keepLayers(
    { id, used }: Built,
    { store, storage, removeImage }: OpenStorage,
    cache: LayerCache,
  ): Promise<void> {
    const made = (await storage.images()).filter(({ isPulled }) => !isPulled);
    await cache.keep([id, ...used, ...made.map(image => image.id)]);
    await limitLayerCache(store, this.#options.limits.cache, removeImage);
  }

  /** Removes what this failed build left in the storage: working containers, then images. Never rejects. */
  async #cleanUp(storage: StorageAdditions): Promise<void> {
    const { scratch, signal } = this.#options;
    const allMs = signal.aborted ? cleanUpMs.cancelled : cleanUpMs.failed;
    const begun = performance.now();
    await removeWorkingContainers(scratch, this.#env, allMs).catch(() => {
      this.#tracker.log('working containers of this build may remain: buildah did not answer in time');
    });
    const timeoutMs = Math.max(0, Math.round(allMs - (performance.now() - begun)));
    const kept = await removeAddedImages(storage, { scratch, env: this.#env, timeoutMs }).catch(
      (error: unknown) => [errorMessage(error)],
    );
    if (kept.length > 0) this.#tracker.log(`images of this build remain: ${kept.join(', ')}`);
  }
}
