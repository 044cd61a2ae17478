// buildah's own parsers, built from Debian's sources; for tests.
import { createHash } from 'node:crypto';
import { access, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime/child';

/** How buildah's parser reads a text. */
export interface ParserAnswer {
  error: string;
  instructions: ParsedInstruction[] | null;
}

export interface ParsedInstruction {
  /** In lower case. */
  name: string;
  flags: string[];
  words: string[];
  json: boolean;
  /** Of ONBUILD. */
  triggers: ParsedInstruction[];
  documents: { name: string; content: string; chomp: boolean }[];
}

export type Release = 'bookworm' | 'trixie';

/** What the parser of each release is built from, by the names of Debian's packages. */
const sources: Record<Release, { packages: string[]; tags: string[] }> = {
  bookworm: {
    packages: [
      ...['openshift-imagebuilder', 'docker-docker', 'docker-go-units', 'moby-sys', 'pkg-errors'],
      ...[
        'opencontainers-image-spec',
        'opencontainers-go-digest',
        'sirupsen-logrus',
        'containerd-containerd',
      ],
    ],
    tags: [],
  },
  trixie: {
    packages: [
      ...['openshift-imagebuilder', 'docker-docker', 'docker-go-units', 'moby-sys', 'pkg-errors'],
      ...[
        'containers-storage',
        'containerd-typeurl',
        'containerd-errdefs',
        'gogo-protobuf',
        'sirupsen-logrus',
      ],
      ...['opencontainers-go-digest', 'agext-levenshtein'],
    ],
    tags: ['documents'],
  },
};
const others: Record<Release, string[]> = {
  bookworm: ['golang-golang-x-sys-dev'],
  trixie: ['golang-golang-x-sys-dev', 'golang-google-protobuf-dev'],
};

/** Both are built with this one; that of Debian 12 is too old for the parser of Debian 13. */
const compiler = { release: 'trixie', packages: ['golang-1.24-go', 'golang-1.24-src'] } as const;

const folder = fileURLToPath(new URL('imagebuilder', import.meta.url));
const kept = fileURLToPath(new URL('../../../.toolchain/imagebuilder', import.meta.url));

/**
 * The program that prints how the buildah of a release reads a text: built on the first call, which takes a minute and needs
 * Debian's registry, and kept with the toolchain.
 *
 * @throws Error with what the failing program said
 */
export async function buildParser(release: Release): Promise<string> {
  const program = join(kept, `${release}-${await contentHash()}`);
  if (await isThere(program)) return program;
  await mkdir(kept, { recursive: true });
  const work = await mkdtemp(join(kept, 'building-'));
  try {
    const { packages, tags } = sources[release];
    const names = packages.map(name => `golang-github-${name}-dev`);
    const root = join(work, 'sources');
    await unpack(release, [...names, ...others[release]], root, work);
    await unpack(compiler.release, compiler.packages, join(work, 'go'), work);
    await cp(folder, join(work, 'program'), { recursive: true });
    await expectDone(
      join(work, 'go/usr/lib/go-1.24/bin/go'),
      ['build', `-tags=${tags.join(',')}`, '-o', join(work, 'parse'), '.'],
      {
        cwd: join(work, 'program'),
        env: {
          PATH: process.env['PATH'],
          HOME: work,
          GOPATH: join(root, 'usr/share/gocode'),
          GOTOOLCHAIN: 'local',
          GO111MODULE: 'off',
          CGO_ENABLED: '0',
          GOFLAGS: '-buildvcs=false',
          GOCACHE: join(work, 'cache'),
        },
      },
    );
    await rename(join(work, 'parse'), program);
    return program;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** How a parser reads each of the texts. @throws Error when it answers less */
export async function parseAll(program: string, texts: readonly string[]): Promise<ParserAnswer[]> {
  if (texts.length === 0) return [];
  const { code, stdout, stderr, truncated } = await runChild(program, [], {
    input: texts.map(text => `${JSON.stringify(text)}\n`).join(''),
    timeoutMs: 120_000,
    maxOutputBytes: 256 << 20,
  });
  const lines = stdout.trimEnd().split('\n');
  if (code !== 0 || truncated || lines.length !== texts.length)
    throw new Error(`the parser failed: ${stderr}`);
  return lines.map(line => JSON.parse(line));
}

/** Of what a program is made from. */
async function contentHash(): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([sources, others, compiler]));
  for (const name of (await readdir(folder)).sort()) hash.update(await readFile(join(folder, name)));
  return hash.digest('hex').slice(0, 16);
}

/** Unpacks packages of a Debian release without installing them, on any release. */
async function unpack(release: Release, names: readonly string[], into: string, work: string): Promise<void> {
  const apt = join(work, `apt-${release}`);
  const options = await prepareApt(apt, release);
  const downloads = await mkdtemp(join(work, 'downloads-'));
  await expectDone('apt-get', [...options, 'download', '--', ...names], { cwd: downloads });
  await mkdir(into, { recursive: true });
  for (const name of await readdir(downloads)) await expectDone('dpkg', ['-x', join(downloads, name), into]);
}

async function prepareApt(apt: string, release: Release): Promise<string[]> {
  const list = join(apt, 'sources.list');
  const options = [
    ...[`Dir::Etc::sourcelist=${list}`, 'Dir::Etc::sourceparts=/dev/null', `Dir::State::lists=${apt}/lists`],
    ...[
      `Dir::Cache=${apt}/cache`,
      'APT::Sandbox::User=root',
      'Acquire::Retries=3',
      'Acquire::Languages=none',
    ],
  ].flatMap(option => ['-o', option]);
  if (await isThere(apt)) return options;
  await mkdir(join(apt, 'lists/partial'), { recursive: true });
  await mkdir(join(apt, 'cache/archives/partial'), { recursive: true });
  await writeFile(list, `deb http://deb.debian.org/debian ${release} main\n`);
  await expectDone('apt-get', [...options, '--quiet', 'update']);
  return options;
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function expectDone(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  const { code, stderr } = await runChild(program, args, { timeoutMs: 600_000, ...options });
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${code}: ${stderr.slice(-2000)}`);
}
