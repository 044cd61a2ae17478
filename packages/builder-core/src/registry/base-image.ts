import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFailure, meansNoSpace } from '../build-failure.ts';
import type { Instruction } from '../containerfile/instruction.ts';
import { readTriggers } from '../containerfile/triggers.ts';
import type { Scratch } from '../scratch.ts';
import type { BaseImage, FoundImage } from '../stacks/base-images.ts';
import type { StorageAdditions } from '../storage/storage-additions.ts';
import { readStore, type Store } from '../storage/storage-records.ts';
import { failureReason, runTool } from '../tools/run-tool.ts';
import type { AuthFile } from './auth-file.ts';
import { sourceOf } from './permitted-images.ts';
import type { RegistryDigests } from './registry-digests.ts';

export interface PullOptions {
  scratch: Scratch;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** The path of the policy file. Absent: the host has no policy. */
  policy?: string;
  store: Store;
  storage: StorageAdditions;
  /** The local images that the request permits. */
  permitted: readonly string[];
  /** The logins of this build only. */
  logins: AuthFile;
  digests: RegistryDigests;
  log(text: string): void;
}

/**
 * Gets an image into the storage: pulls it, even when this host has an image of that name, or uses the local image where the
 * request permits it.
 *
 * @returns the id of the image
 * @throws BuildFailure 502 when the registry does not provide it, 422 for a local image that is not permitted
 */
export async function ensureImage({ name, platform }: BaseImage, options: PullOptions): Promise<string> {
  const { images } = await readStore(options.store);
  const source = sourceOf(name, options.permitted, images.values());
  switch (source.from) {
    case 'storage':
      return source.id;
    case 'registry': {
      const id = await pullImage(name, source.name, platform, options);
      options.storage.pullEnded(id);
      return id;
    }
  }
}

/**
 * Pulls an image by digest, even where the build names a tag. A pull gives the image the name that it was pulled by, so a pull
 * by tag would take the tag away from a local image, which may belong to another tenant.
 */
async function pullImage(
  written: string,
  name: string,
  platform: string | undefined,
  options: PullOptions,
): Promise<string> {
  const { scratch, env, signal, policy, storage, logins, digests, log } = options;
  log(`looking up ${name}`);
  const fixed = name.includes('@') ? { digest: '' } : await digests.of(name, platform, logins.path);
  if (!('digest' in fixed)) throw pullFailure(fixed.stderrTail.map(logins.redact), written);
  const exact = fixed.digest === '' ? name : `${name.replace(/:[^:/]+$/, '')}@${fixed.digest}`;
  storage.pullStarts(exact.replace(/:[^:/@]+@/, '@')); // the storage does not keep a tag beside a digest
  const args = [
    ...['pull', '--policy=always', '--retry=1', '--retry-delay=1s', `--authfile=${logins.path}`],
    ...(policy === undefined ? [] : [`--signature-policy=${policy}`]),
    ...(platform === undefined ? [] : [`--platform=${platform}`]),
    ...['--', exact],
  ];
  const { code, stdout, stderrTail } = await runTool('buildah', args, {
    env: await withOwnNetworkFolder(scratch, env),
    stage: 'buildah',
    signal,
    cwd: scratch.folder,
    onLines: (lines, stream) => {
      const said = lines.filter(({ text }) => stream === 'stderr' && text.trim() !== '');
      if (said.length > 0) log(logins.redact(said.map(({ text }) => text).join('\n')));
    },
  });
  const id = stdout.trim().split('\n').at(-1) ?? '';
  if (code === 0 && /^[0-9a-f]{64}$/.test(id)) return id;
  throw pullFailure(stderrTail.map(logins.redact), written);
}

/** The part of an image's configuration that affects builds on it. */
interface BuildConfiguration {
  triggers: string[];
  env: string[];
  shell: string[];
}

/**
 * Inspects a base image and refuses ONBUILD triggers that the repository's own Containerfile may not use either. buildah
 * executes triggers before the first line of the stage.
 *
 * @param runs whether the build may run commands at all
 * @throws BuildFailure 422 naming the image and the instruction
 */
export async function inspectBaseImage(
  id: string,
  { name }: BaseImage,
  runs: boolean,
  options: PullOptions,
): Promise<FoundImage> {
  const { triggers, env, shell } = await configurationOf(id, options);
  const [first] = triggers;
  const whose = `base image ${name}: ONBUILD `;
  if (first !== undefined && !runs)
    throw new BuildFailure(
      422,
      'stack',
      `${whose}${JSON.stringify(first.slice(0, 200))}: a static build executes nothing`,
    );
  const checked: readonly Instruction[] = readTriggers(triggers, whose);
  return {
    id,
    triggers: checked,
    env: new Map(env.map(text => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)])),
    ...(shell.length === 0 ? {} : { shell }),
  };
}

/** Reads the configuration as buildah does when it builds, for every image format. */
async function configurationOf(
  id: string,
  { scratch, env, signal }: PullOptions,
): Promise<BuildConfiguration> {
  const listed = ['OnBuild', 'Env', 'Shell'].map(
    key => `{{range .${key}}}${key} {{printf "%x\\n" .}}{{end}}`,
  );
  const format = `{{with .Docker.Config}}${listed.join('')}{{end}}end`;
  const args = ['inspect', '--type=image', `--format=${format}`, '--', id];
  const { code, stdout, stderrTail } = await runTool('buildah', args, {
    env: await withOwnNetworkFolder(scratch, env),
    stage: 'buildah',
    signal,
    cwd: scratch.folder,
    timeoutMs: 60_000,
  });
  const lines = stdout.trimEnd().split('\n');
  if (code !== 0 || lines.pop() !== 'end' || !lines.every(line => /^[A-Za-z]+ (?:[0-9a-f]{2})*$/.test(line)))
    throw new BuildFailure(
      500,
      'buildah',
      `image ${id} cannot be inspected: ${failureReason(stderrTail, /^Error: /)}`,
    );
  const of = (key: string) =>
    lines
      .filter(line => line.startsWith(`${key} `))
      .map(line => Buffer.from(line.slice(key.length + 1), 'hex').toString('utf8'));
  return { triggers: of('OnBuild'), env: of('Env'), shell: of('Shell') };
}

/**
 * Returns the environment of a buildah that pulls, pushes or inspects an image. These commands take a lock in the folder of
 * network definitions, although they do not use it, and have no option for another folder; the folder of the host is
 * read-only in the unit. The other settings of the host's containers.conf concern containers, which these commands do not run.
 *
 * @throws Error when the configuration file cannot be written
 */
export async function withOwnNetworkFolder(
  { folder }: Scratch,
  env: NodeJS.ProcessEnv,
): Promise<NodeJS.ProcessEnv> {
  const config = join(folder, 'containers.conf');
  await writeFile(config, '[network]\nnetwork_config_dir = "networks"\n');
  return { ...env, CONTAINERS_CONF: config };
}

function pullFailure(stderrTail: readonly string[], name: string): BuildFailure {
  const reason = failureReason(stderrTail, /^Error: /);
  if (meansNoSpace(stderrTail.join('\n')))
    return new BuildFailure(507, 'buildah', `no room on the disk for image ${name}: ${reason}`);
  return new BuildFailure(502, 'buildah', `a base image could not be pulled: ${name}: ${reason}`);
}
