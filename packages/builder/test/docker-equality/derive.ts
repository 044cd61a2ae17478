// Writes docker-configs.json anew from a Docker engine, which is the reference: DOCKER_HOST names it. For example Debian's
// docker.io with docker-buildx: `node packages/builder/test/docker-equality/derive.ts`
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { filesScript, officialImages } from './bases.ts';
import { cases, commonFiles } from './cases.ts';
import { configOf } from './config-of.ts';

const folder = await mkdtemp(join(tmpdir(), 'docker-equality-'));
const run = async (program: string, args: readonly string[]): Promise<string> => {
  const env = { ...process.env, DOCKER_BUILDKIT: '1' };
  const { code, stdout, stderr } = await runChild(program, args, { timeoutMs: 300_000, env });
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
  return stdout;
};
const build = (context: string, file: string, tag: string, more: readonly string[] = []) =>
  run('docker', ['build', '--quiet', '--network=none', '--file', file, '--tag', tag, ...more, '--', context]);

const files = join(folder, 'files');
await mkdir(files);
await run('sh', ['-c', filesScript(), 'sh', files]);
for (const { name, config } of officialImages) {
  await writeFile(join(folder, 'Dockerfile'), `FROM scratch\nCOPY . /\n${config}\n`);
  await build(files, join(folder, 'Dockerfile'), name);
}
const expected: Record<string, unknown> = {};
for (const [at, { name, dockerfile, target, buildArgs = {} }] of cases.entries()) {
  const context = join(folder, `case-${at}`);
  for (const [path, content] of Object.entries(commonFiles)) {
    await mkdir(dirname(join(context, path)), { recursive: true });
    await writeFile(join(context, path), content);
  }
  await writeFile(join(context, 'Dockerfile'), dockerfile);
  const more = [
    ...(target === undefined ? [] : [`--target=${target}`]),
    ...Object.entries(buildArgs).map(([key, value]) => `--build-arg=${key}=${value}`),
  ];
  const id = (await build(context, join(context, 'Dockerfile'), `equality:${at}`, more)).trim();
  expected[name] = configOf(
    JSON.parse(await run('docker', ['image', 'inspect', '--format={{json .Config}}', id])),
  );
}
const target = fileURLToPath(new URL('docker-configs.json', import.meta.url));
await writeFile(target, `${JSON.stringify(expected, null, 2)}\n`);
await rm(folder, { recursive: true });
