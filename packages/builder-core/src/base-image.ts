import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFailure, meansNoSpace } from './build-failure.ts';
import type { Instruction } from './containerfile/instruction.ts';
import { readTriggers } from './containerfile/triggers.ts';
import { reasonIn, runTool } from './run-tool.ts';
import type { Scratch } from './scratch.ts';
import type { BaseImage, FoundImage } from './stacks/base-images.ts';

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

/** What an image's configuration says of the builds on it. */
interface BuildConfiguration {
  triggers: string[];
  env: string[];
  shell: string[];
}

/**
 * Looks at an image that is built on, and refuses one that asks its builds for what a containerfile of the repository is refused
 * (ONBUILD): buildah executes it before the first line of the stage.
 *
 * @param runs whether the build may run anything at all
 * @throws BuildFailure 422 naming the image and the instruction
 */
export async function lookAt(
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
  const judged: readonly Instruction[] = readTriggers(triggers, whose);
  return {
    id,
    triggers: judged,
    env: new Map(env.map(text => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)])),
    ...(shell.length === 0 ? {} : { shell }),
  };
}

/** As buildah itself reads it when it builds, whatever the format of the image. */
async function configurationOf(
  id: string,
  { scratch, env, signal }: PullOptions,
): Promise<BuildConfiguration> {
  const listed = ['OnBuild', 'Env', 'Shell'].map(
    key => `{{range .${key}}}${key} {{printf "%x\\n" .}}{{end}}`,
  );
  const format = `{{with .Docker.Config}}${listed.join('')}{{end}}end`;
  const args = ['inspect', '--type=image', `--format=${format}`, '--', id];
  const { code, stdout, lastWords } = await runTool('buildah', args, {
    ...{ env: await withoutNetworks(scratch, env), stage: 'buildah', signal, cwd: scratch.folder },
    timeoutMs: 60_000,
  });
  const lines = stdout.trimEnd().split('\n');
  if (code !== 0 || lines.pop() !== 'end' || !lines.every(line => /^[A-Za-z]+ (?:[0-9a-f]{2})*$/.test(line)))
    throw new BuildFailure(
      500,
      'buildah',
      `image ${id} cannot be looked at: ${reasonIn(lastWords, /^Error: /)}`,
    );
  const of = (key: string) =>
    lines
      .filter(line => line.startsWith(`${key} `))
      .map(line => Buffer.from(line.slice(key.length + 1), 'hex').toString('utf8'));
  return { triggers: of('OnBuild'), env: of('Env'), shell: of('Shell') };
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
