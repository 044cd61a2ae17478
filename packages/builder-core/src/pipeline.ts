import { ChildError } from '@coold/runtime/child';
import type { BuildRequest, PushRequest, StackRequest } from './build-request.ts';
import { digestOf, removeImage, runBuild } from './buildah.ts';
import { checkOut } from './git.ts';
import { insecureRegistries } from './insecure-registries.ts';
import { createTracker, type Progress, type Tracker } from './progress.ts';
import { pushImage } from './push.ts';
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
  gitSilenceMs?: number;
  pushSilenceMs?: number;
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
  const { scratch, signal } = options;
  const env = toolEnvironment(options.env, scratch.folder);
  const tracker = createTracker(options.report);
  const ended = new AbortController();
  // Beside the build, which does not wait for it: what it does not get to is for the next one.
  const swept = sweepWorkingContainers(scratch, env, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(sweepMs)]),
    enough: ended.signal,
  }).catch((error: Error) => {
    if (!signal.aborted) tracker.log(`what an earlier build left stays for now: ${error.message}`);
  });
  try {
    return await runEach(request, options, { env, tracker });
  } finally {
    // Its programs have the scratch folder as their home, which goes next.
    ended.abort();
    await swept;
  }
}

async function runEach(
  request: BuildRequest,
  options: PipelineOptions,
  { env, tracker }: { env: NodeJS.ProcessEnv; tracker: Tracker },
): Promise<BuiltImage> {
  const { scratch, signal } = options;
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
  const { targetImage, push } = request;
  tracker.enter('buildah', push === undefined ? 95 : 80);
  const keepLayers = request.cacheKey !== undefined;
  const id = await runBuild(plan, { scratch, env, tracker, signal, targetImage, keepLayers }).catch(
    async (error: unknown) => {
      await removeWorkingContainers(scratch, env, signal.aborted ? 800 : 30_000).catch(() => {
        tracker.log('working containers of this build may remain: buildah did not answer in time');
      });
      throw error;
    },
  );
  const built = { scratch, env, tracker, signal, id, targetImage };
  const digest = await (push === undefined
    ? digestHere(built)
    : digestThere(built, push, options).catch(async (error: unknown) => {
        // With layers that are kept it may be the image of an earlier build, which went well.
        if (!keepLayers) await removeImage(id, env, signal.aborted ? 800 : 30_000);
        throw error;
      }));
  return { digest, registryRef: `${targetImage}@${digest}`, stackUsed: request.stack.name };
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
