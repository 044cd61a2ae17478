import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ChildError } from '@coold/runtime/child';
import { BuildFailure } from '../build-failure.ts';
import { isDiskFull } from '../disk/disk-usage.ts';
import type { Tracker } from '../progress.ts';
import { registryOf } from '../request/image-name.ts';
import type { Credentials } from '../request/repo-url.ts';
import type { Scratch } from '../scratch.ts';
import { chainOf, readStore, type Store } from '../storage/storage-records.ts';
import type { OutputLine } from '../tools/output-lines.ts';
import { failureReason, runTool } from '../tools/run-tool.ts';
import { openAuthFile } from './auth-file.ts';
import { withOwnNetworkFolder } from './base-image.ts';
import { watchIo } from './io-watch.ts';

export interface PushOptions {
  scratch: Scratch;
  env: NodeJS.ProcessEnv;
  tracker: Tracker;
  signal: AbortSignal;
  store: Store;
  /** The id of the image. */
  id: string;
  /** The full name of the image, which names the registry, too. */
  targetImage: string;
  auth?: Credentials;
  /** The registries, as `host:port`, that may be used without TLS. */
  insecure: readonly string[];
  /** The push fails when nothing is sent or received for this long, in ms. Default 2 min. */
  silenceMs?: number;
}

const defaultSilenceMs = 120_000;

/**
 * Pushes an image to its registry.
 *
 * @returns the digest of its manifest in the registry
 * @throws BuildFailure of stage push: 502 with the registry's own message, 504 when it took too long
 * @throws ChildError `aborted` when the signal aborts
 */
export async function pushImage(options: PushOptions): Promise<string> {
  const { scratch, tracker, signal, id, targetImage, auth, silenceMs = defaultSilenceMs } = options;
  const env = await withOwnNetworkFolder(scratch, options.env);
  const registry = registryOf(targetImage);
  const layers = await countLayers(options);
  tracker.log(`pushing ${layers} layers to ${registry}`);
  const digestFile = join(scratch.folder, 'pushed-digest');
  await using authFile = await openAuthFile(registry, auth, scratch.folder);
  const { redact } = authFile;
  using io = watchIo(silenceMs);
  const args = [
    ...['push', '--retry=1', '--retry-delay=1s', `--authfile=${authFile.path}`, `--digestfile=${digestFile}`],
    // Always given, so that the host's registries.conf does not decide.
    ...[`--tls-verify=${!options.insecure.includes(registry)}`, '--', id, `docker://${targetImage}`],
  ];
  const follow = createFollower(tracker, layers, redact);
  const { code, stderrTail } = await runTool('buildah', args, {
    env,
    stage: 'push',
    cwd: scratch.folder,
    signal: AbortSignal.any([signal, io.stalled]),
    onStart: io.watch,
    onLines: follow,
  }).catch((error: unknown) => {
    const isStall = error instanceof ChildError && error.reason === 'aborted' && !signal.aborted;
    if (!isStall || !io.stalled.aborted) throw error;
    const seconds = Math.round(silenceMs / 1000);
    throw new BuildFailure(504, 'push', `${registry} took nothing and said nothing for ${seconds} s`);
  });
  if (code !== 0) throw await pushFailure(registry, stderrTail.map(redact), scratch);
  const digest = (await readFile(digestFile, 'utf8')).trim();
  if (!/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new BuildFailure(500, 'push', 'buildah named no digest of what it has pushed');
  return digest;
}

async function countLayers({ id, store }: PushOptions): Promise<number> {
  const { images, layers } = await readStore(store);
  const image = images.get(id);
  if (image === undefined) throw new BuildFailure(500, 'push', `the image that was built is gone: ${id}`);
  return chainOf(layers, image.layer).length;
}

/** Reports progress by the layers that buildah names: it names each before it copies it, or finds it in the registry. */
function createFollower(tracker: Tracker, layers: number, redact: (text: string) => string) {
  const seen = new Set<string>();
  return (lines: readonly OutputLine[]) => {
    for (const { text } of lines) {
      const [, blob = ''] = /^Copying blob (?:sha256:)?([0-9a-f]{12,64})/.exec(text) ?? [];
      if (blob !== '' && !seen.has(blob) && seen.size < layers) {
        seen.add(blob);
        tracker.log(`layer ${seen.size} of ${layers}: ${blob.slice(0, 12)}`);
        tracker.advance(seen.size / (layers + 1));
      } else if (blob === '' && text.trim() !== '') tracker.log(redact(text));
    }
  };
}

async function pushFailure(
  registry: string,
  stderrTail: readonly string[],
  { folder }: Scratch,
): Promise<BuildFailure> {
  const reason = failureReason(stderrTail, /^Error: /);
  if (await isDiskFull(folder)) return new BuildFailure(507, 'push', `no room on the disk: ${reason}`);
  const isLate = /i\/o timeout|deadline exceeded|TLS handshake timeout|Client\.Timeout|\b504\b/i.test(reason);
  return new BuildFailure(
    isLate ? 504 : 502,
    'push',
    `the image could not be pushed to ${registry}: ${reason}`,
  );
}

/** The variable that names registries without TLS. coold has the same variable and passes it on. */
const insecureRegistriesVariable = 'COOLD_BUILDER_INSECURE_REGISTRIES';

/** Returns the registries that the operator allows to be used without TLS, as `host:port`. Default: none. */
export function insecureRegistries(env: NodeJS.ProcessEnv): string[] {
  return (env[insecureRegistriesVariable] ?? '')
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '');
}
