import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ChildError } from '@coold/runtime/child';
import { openAuthFile } from './auth-file.ts';
import { withoutNetworks } from './base-image.ts';
import { BuildFailure } from './build-failure.ts';
import { isDiskFull } from './disk-room.ts';
import { watchIo } from './io-watch.ts';
import type { OutputLine } from './output-lines.ts';
import type { Tracker } from './progress.ts';
import { registryOf } from './registry-name.ts';
import type { Credentials } from './repo-url.ts';
import { reasonIn, runTool } from './run-tool.ts';
import type { Scratch } from './scratch.ts';

export interface PushOptions {
  scratch: Scratch;
  env: NodeJS.ProcessEnv;
  tracker: Tracker;
  signal: AbortSignal;
  /** Of the image. */
  id: string;
  /** The name that it gets at the registry that this names. */
  targetImage: string;
  auth?: Credentials;
  /** Registries, as `host:port`, that may be spoken to without TLS. */
  insecure: readonly string[];
  /** A registry that takes nothing and says nothing for so long, in ms, is given up. Default 2 min. */
  silenceMs?: number;
}

const defaultSilenceMs = 120_000;

/**
 * Copies an image to its registry.
 *
 * @returns the digest of its manifest there
 * @throws BuildFailure of stage push: 502 with the registry's own words, 504 when it took too long
 * @throws ChildError `aborted`
 */
export async function pushImage(options: PushOptions): Promise<string> {
  const { scratch, tracker, signal, id, targetImage, auth, silenceMs = defaultSilenceMs } = options;
  const env = await withoutNetworks(scratch, options.env);
  const registry = registryOf(targetImage);
  const redact = createRedaction(auth);
  const layers = await countLayers({ ...options, env });
  tracker.log(`pushing ${layers} layers to ${registry}`);
  const digestFile = join(scratch.folder, 'pushed-digest');
  await using authFile = await openAuthFile(registry, auth, scratch.folder);
  using io = watchIo(silenceMs);
  const args = [
    ...['push', '--retry=1', '--retry-delay=1s', `--authfile=${authFile.path}`, `--digestfile=${digestFile}`],
    // Said in either case: what the host's registries.conf thinks of the registry does not count.
    ...[`--tls-verify=${!options.insecure.includes(registry)}`, '--', id, `docker://${targetImage}`],
  ];
  const follow = createFollower(tracker, layers, redact);
  const { code, lastWords } = await runTool('buildah', args, {
    ...{ env, stage: 'push', cwd: scratch.folder },
    signal: AbortSignal.any([signal, io.stalled]),
    onStart: io.watch,
    onLines: follow,
  }).catch((error: unknown) => {
    const isStall = error instanceof ChildError && error.reason === 'aborted' && !signal.aborted;
    if (!isStall || !io.stalled.aborted) throw error;
    const seconds = Math.round(silenceMs / 1000);
    throw new BuildFailure(504, 'push', `${registry} took nothing and said nothing for ${seconds} s`);
  });
  if (code !== 0) throw await pushFailure(registry, lastWords.map(redact), scratch);
  const digest = (await readFile(digestFile, 'utf8')).trim();
  if (!/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new BuildFailure(500, 'push', 'buildah named no digest of what it has pushed');
  return digest;
}

async function countLayers({ id, env, signal, scratch }: PushOptions): Promise<number> {
  const format = '{{len .OCIv1.RootFS.DiffIDs}}';
  const args = ['inspect', '--type=image', `--format=${format}`, '--', id];
  const { code, stdout, lastWords } = await runTool('buildah', args, {
    ...{ env, stage: 'push', signal, cwd: scratch.folder, timeoutMs: 60_000 },
  });
  if (code !== 0 || !/^\d+\s*$/.test(stdout))
    throw new BuildFailure(
      500,
      'push',
      `image ${id} cannot be looked at: ${reasonIn(lastWords, /^Error: /)}`,
    );
  return Number(stdout);
}

/** Counts the layers that buildah begins to copy, and those that are there already; it names each before it does. */
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
  lastWords: readonly string[],
  { folder }: Scratch,
): Promise<BuildFailure> {
  const reason = reasonIn(lastWords, /^Error: /);
  if (await isDiskFull(folder)) return new BuildFailure(507, 'push', `no room on the disk: ${reason}`);
  const isLate = /i\/o timeout|deadline exceeded|TLS handshake timeout|Client\.Timeout|\b504\b/i.test(reason);
  return new BuildFailure(
    isLate ? 504 : 502,
    'push',
    `the image could not be pushed to ${registry}: ${reason}`,
  );
}

/** A registry may say again what it was told. */
function createRedaction(auth: Credentials | undefined): (text: string) => string {
  if (auth === undefined) return text => text;
  const { username, password } = auth;
  const together = `${username}:${password}`;
  const forms = [
    ...[Buffer.from(together).toString('base64'), Buffer.from(together).toString('base64url')],
    ...[encodeURIComponent(password), JSON.stringify(password).slice(1, -1), password],
  ].toSorted((a, b) => b.length - a.length);
  return text => forms.reduce((redacted, form) => redacted.replaceAll(form, '***'), text);
}
