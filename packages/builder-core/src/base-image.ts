import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFailure, meansNoSpace } from './build-failure.ts';
import { readImageName } from './image-name.ts';
import type { OwnStorage } from './own-storage.ts';
import { sourceOf } from './permitted-images.ts';
import { reasonIn, runTool } from './run-tool.ts';
import type { Scratch } from './scratch.ts';
import type { BaseImage } from './stacks/base-images.ts';
import { checkCopyFlags } from './stacks/copy-flags.ts';
import { refuseFlags } from './stacks/instruction-flags.ts';
import { checkRunFlags, hasSharing } from './stacks/run-flags.ts';
import { volumeIn } from './stacks/volumes.ts';
import { readStore, type Store } from './storage-records.ts';

export interface PullOptions {
  scratch: Scratch;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** The policy file; absent: the host says nothing of it. */
  policy?: string;
  store: Store;
  storage: OwnStorage;
  /** Images of this host that the request permits. */
  permitted: readonly string[];
  log(text: string): void;
}

/**
 * Takes an image from its registry, whatever this host has of it, or from this host where the request permits it.
 *
 * @returns its id
 * @throws BuildFailure 502 when its registry does not give it, 422 when only this host could have it and it is not permitted
 */
export async function takeImage({ name, platform }: BaseImage, options: PullOptions): Promise<string> {
  const { images } = await readStore(options.store);
  const source = sourceOf(name, options.permitted, images.values());
  switch (source.from) {
    case 'storage':
      return source.id;
    case 'registry': {
      const id = await pullImage(name, source.name, platform, options);
      options.storage.take(id);
      return id;
    }
  }
}

async function pullImage(
  written: string,
  name: string,
  platform: string | undefined,
  options: PullOptions,
): Promise<string> {
  const { scratch, env, signal, policy, log } = options;
  const args = [
    ...['pull', '--policy=always', '--retry=1', '--retry-delay=1s'],
    ...(policy === undefined ? [] : [`--signature-policy=${policy}`]),
    ...(platform === undefined ? [] : [`--platform=${platform}`]),
    ...['--', name],
  ];
  const { code, stdout, lastWords } = await runTool('buildah', args, {
    ...{ env: await withoutNetworks(scratch, env), stage: 'buildah', signal, cwd: scratch.folder },
    onLines: (lines, stream) => {
      const said = lines.filter(({ text }) => stream === 'stderr' && text.trim() !== '');
      if (said.length > 0) log(said.map(({ text }) => text).join('\n'));
    },
  });
  const id = stdout.trim().split('\n').at(-1) ?? '';
  if (code === 0 && /^[0-9a-f]{64}$/.test(id)) return id;
  throw pullFailure(lastWords, written);
}

/**
 * Refuses an image that asks its builds for what a containerfile of the repository is refused (ONBUILD): buildah executes it
 * before the first line of the stage.
 *
 * @param runs whether the build may run anything at all
 * @param stages the names of the stages that it may copy from
 * @returns the images that it copies files from, each by a name that buildah takes for no other
 * @throws BuildFailure 422 naming the image and the instruction
 */
export async function checkTriggers(
  id: string,
  { name }: BaseImage,
  { runs, stages }: { runs: boolean; stages: ReadonlySet<string> },
  options: PullOptions,
): Promise<string[]> {
  const triggers = await triggersOf(id, options);
  const whose = `base image ${name}: ONBUILD `;
  const refuse = (what: string, why: string) =>
    new BuildFailure(422, 'stack', `${whose}${JSON.stringify(what.slice(0, 200))}: ${why}`);
  const [first] = triggers;
  if (first !== undefined && !runs) throw refuse(first, 'a static build executes nothing');
  // buildah puts them together before it reads them, so that one may continue another.
  const together = triggers.join('\n');
  checkRunFlags(together, whose);
  checkCopyFlags(together, whose);
  const volume = volumeIn(together);
  if (volume !== undefined)
    throw refuse(volume, 'RUN steps after it could have any folder of the host in its place');
  if (hasSharing(together))
    throw refuse(
      'RUN --mount=…,sharing=',
      'a cache is opened by name where a step before it may have put a symlink',
    );
  const images = sourcesIn(together).filter(from => !stages.has(from));
  // buildah looks for a short name among the images of this host, under any registry.
  const short = images.find(from => !isFullName(from));
  if (short !== undefined)
    throw refuse(`COPY --from=${short}`, 'expected a stage before it, or the full name of an image');
  return images;
}

/** What files are copied from, as far as any parser would read it. */
function sourcesIn(triggers: string): string[] {
  const sources = new Set<string>();
  refuseFlags(triggers, '', {
    instructions: ['COPY', 'ADD'],
    only: '',
    isHarmless(word) {
      const [, from] = /^--from=(.+)$/.exec(word) ?? [];
      if (from !== undefined) sources.add(from);
      return true;
    },
  });
  return [...sources];
}

function isFullName(text: string): boolean {
  const image = readImageName(text);
  return image.kind === 'id' || image.name === text;
}

/** As buildah itself reads them when it builds, whatever the format of the image. */
async function triggersOf(id: string, { scratch, env, signal }: PullOptions): Promise<string[]> {
  const format = '{{with .Docker.Config}}{{range .OnBuild}}{{printf "%x\\n" .}}{{end}}{{end}}end';
  const args = ['inspect', '--type=image', `--format=${format}`, '--', id];
  const { code, stdout, lastWords } = await runTool('buildah', args, {
    ...{ env: await withoutNetworks(scratch, env), stage: 'buildah', signal, cwd: scratch.folder },
    timeoutMs: 60_000,
  });
  const lines = stdout.trimEnd().split('\n');
  if (code !== 0 || lines.pop() !== 'end' || !lines.every(line => /^(?:[0-9a-f]{2})*$/.test(line)))
    throw new BuildFailure(
      500,
      'buildah',
      `image ${id} cannot be looked at: ${reasonIn(lastWords, /^Error: /)}`,
    );
  return lines.map(line => Buffer.from(line, 'hex').toString('utf8'));
}

/**
 * Both take a lock in the folder of networks, which they have no use for and no option to name; the host's is read-only in
 * the unit. What else may stand in the host's containers.conf is about containers, of which there are none here.
 */
async function withoutNetworks({ folder }: Scratch, env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const config = join(folder, 'containers.conf');
  await writeFile(config, '[network]\nnetwork_config_dir = "networks"\n');
  return { ...env, CONTAINERS_CONF: config };
}

function pullFailure(lastWords: readonly string[], name: string): BuildFailure {
  const reason = reasonIn(lastWords, /^Error: /);
  if (meansNoSpace(lastWords.join('\n')))
    return new BuildFailure(507, 'buildah', `no room on the disk for image ${name}: ${reason}`);
  return new BuildFailure(502, 'buildah', `a base image could not be pulled: ${name}: ${reason}`);
}
