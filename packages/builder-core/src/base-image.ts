import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFailure, meansNoSpace } from './build-failure.ts';
import { reasonIn, runTool } from './run-tool.ts';
import type { Scratch } from './scratch.ts';
import type { BaseImage } from './stacks/base-images.ts';
import { checkCopyFlags } from './stacks/copy-flags.ts';
import { checkRunFlags } from './stacks/run-flags.ts';
import { volumeIn } from './stacks/volumes.ts';

export interface PullOptions {
  scratch: Scratch;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** The policy file; absent: the host says nothing of it. */
  policy?: string;
  log(text: string): void;
}

/**
 * Only on this host: the "registry" of `localhost/…` would be this host, which a build does not reach, and each try takes
 * half a minute; an id has none.
 */
const isOwn = (name: string) => name.startsWith('localhost/') || /^[0-9a-f]{64}$/.test(name);

/**
 * Takes an image from its registry where that has a newer one.
 *
 * @returns its id
 * @throws BuildFailure 502 when it is not to be had, 422 when only this host could have it
 */
export async function pullImage({ name, platform }: BaseImage, options: PullOptions): Promise<string> {
  const { scratch, env, signal, policy, log } = options;
  const args = [
    ...['pull', `--policy=${isOwn(name) ? 'never' : 'ifnewer'}`, '--retry=1', '--retry-delay=1s'],
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
  throw pullFailure(lastWords, name);
}

/**
 * Refuses an image that asks its builds for what a containerfile of the repository is refused (ONBUILD): buildah executes it
 * before the first line of the stage.
 *
 * @param runs whether the build may run anything at all
 * @throws BuildFailure 422 naming the image and the instruction
 */
export async function checkTriggers(
  id: string,
  { name }: BaseImage,
  runs: boolean,
  options: PullOptions,
): Promise<void> {
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
 * The environment of a buildah that pulls, pushes or looks at an image. These take a lock in the folder of networks, which
 * they have no use for and no option to name; the host's is read-only in the unit. What else may stand in the host's
 * containers.conf is about containers, of which there are none here.
 */
export async function withoutNetworks(
  { folder }: Scratch,
  env: NodeJS.ProcessEnv,
): Promise<NodeJS.ProcessEnv> {
  const config = join(folder, 'containers.conf');
  await writeFile(config, '[network]\nnetwork_config_dir = "networks"\n');
  return { ...env, CONTAINERS_CONF: config };
}

function pullFailure(lastWords: readonly string[], name: string): BuildFailure {
  const reason = reasonIn(lastWords, /^Error: /);
  if (meansNoSpace(lastWords.join('\n')))
    return new BuildFailure(507, 'buildah', `no room on the disk for image ${name}: ${reason}`);
  if (isOwn(name))
    return new BuildFailure(422, 'buildah', `base image ${name} is not on this host: ${reason}`);
  return new BuildFailure(502, 'buildah', `a base image could not be pulled: ${name}: ${reason}`);
}
