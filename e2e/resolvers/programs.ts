import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';

/** Programs that look up a name with different resolvers; they are static, so that they run in any image. */
export interface ResolverPrograms {
  /** Path on this machine; undefined: `lacking` gives the reason. */
  musl: string | undefined;
  go: string | undefined;
  lacking: string[];
}

const sources = fileURLToPath(new URL('.', import.meta.url));
const kept = fileURLToPath(new URL('../../.toolchain/resolvers', import.meta.url));
const muslPackages = ['musl', 'musl-dev'];

/**
 * Builds the programs on the first call and keeps them with the toolchain. The musl program needs gcc and Debian's
 * mirror, the Go program needs Go.
 */
export async function resolverPrograms(): Promise<ResolverPrograms> {
  await mkdir(kept, { recursive: true });
  const lacking: string[] = [];
  const build = async (name: 'musl' | 'go', how: (to: string) => Promise<void>) => {
    const file = join(kept, name);
    try {
      if (!(await isThere(file))) {
        await how(`${file}.new`);
        await rename(`${file}.new`, file);
      }
      return file;
    } catch (error) {
      lacking.push(`${name}: ${(error as Error).message}`);
      return undefined;
    }
  };
  return { musl: await build('musl', buildMusl), go: await build('go', buildGo), lacking };
}

async function buildMusl(to: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'coold-musl-'));
  try {
    await run('apt-get', ['download', '-q', ...muslPackages], { cwd: folder });
    await run('sh', ['-c', 'for package in *.deb; do dpkg-deb --extract "$package" root; done'], {
      cwd: folder,
    });
    const { stdout: triplet } = await run('gcc', ['-dumpmachine'], {});
    const name = triplet.trim().replace('-gnu', '-musl');
    const lib = join(folder, 'root/usr/lib', name);
    const headers = join(folder, 'root/usr/include', name);
    const start = ['crt1.o', 'crti.o'].map(file => join(lib, file));
    await run(
      'gcc',
      [
        ...['-static', '-nostdinc', '-isystem', headers, '-nostdlib', '-O1', '-o', to, ...start],
        ...[join(sources, 'lookup.c'), join(lib, 'libc.a'), '-lgcc', join(lib, 'crtn.o')],
      ],
      {},
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function buildGo(to: string): Promise<void> {
  await run('go', ['build', '-o', to, '.'], { cwd: join(sources, 'go'), env: { CGO_ENABLED: '0' } });
}

async function run(program: string, args: readonly string[], { cwd, env }: { cwd?: string; env?: object }) {
  const result = await runChild(program, args, {
    timeoutMs: 120_000,
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/local/go/bin`, ...env },
  });
  if (result.code !== 0)
    throw new Error(`${program}: ${result.stderr.trim().slice(-300) || `exit ${result.code}`}`);
  return result;
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
