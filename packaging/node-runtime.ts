import { chmod, copyFile, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ChildError, runChild } from '@coold/runtime';
import { type Architecture, ownArchitecture } from './architectures.ts';
import { trimUnicodeTables } from './unicode-tables.ts';

/** Where the pieces of a runtime lie on this machine. */
interface Sources {
  node: string;
  licence: string;
  libatomic: string;
}

/**
 * Puts the pinned Node for a kind of machine into a folder, as a runtime that needs nothing but what every Debian has:
 * without symbols and the tables of languages that nothing here reads, and with libatomic beside it, which Node links against
 * and minimal systems lack. For this kind of machine that is the Node that runs this build.
 *
 * @throws Error that names what is missing on this machine
 */
export async function placeNode(root: string, architecture: Architecture, folder: string): Promise<void> {
  const own = architecture === ownArchitecture();
  const sources = own ? await ownSources() : otherSources(root, architecture);
  const node = join(folder, 'node');
  const library = join(folder, 'libatomic.so.1');
  await copy(sources.node, node, 0o755);
  // In this order: a later strip would undo what patchelf moved.
  await run(`${architecture.triplet}-strip`, ['--strip-all', node]);
  await run('patchelf', ['--set-rpath', '$ORIGIN', node]);
  await trim(node);
  await copy(sources.libatomic, library, 0o644);
  await copy(sources.licence, join(folder, 'LICENCE.nodejs'), 0o644);
  // The linker of this machine answers for this kind of machine alone.
  if (!own) return;
  const loaded = await libraryPath(node, 'libatomic.so.1');
  if ((await realpath(loaded)) !== (await realpath(library)))
    throw new Error(`${node} would load ${loaded}, not the libatomic.so.1 beside it`);
}

async function trim(node: string): Promise<void> {
  const program = await readFile(node);
  trimUnicodeTables(program);
  await writeFile(node, program);
}

async function ownSources(): Promise<Sources> {
  const node = await realpath(process.execPath);
  return { node, licence: await nodeLicence(), libatomic: await libraryPath(node, 'libatomic.so.1') };
}

/** What `npm run package` has brought for machines of the other kind, and Debian's packages for cross-building. */
function otherSources(root: string, { node, triplet }: Architecture): Sources {
  const home = join(root, '.toolchain/other/node_modules', `node-linux-${node}`);
  return {
    node: join(home, 'bin/node'),
    licence: join(home, 'LICENSE'),
    libatomic: join('/usr', triplet, 'lib/libatomic.so.1'),
  };
}

/** Beside Node's program, as its own package has it. */
async function nodeLicence(): Promise<string> {
  const home = dirname(dirname(process.execPath));
  const places = [home, join(home, 'node_modules', `node-linux-${process.arch}`)].map(at =>
    join(at, 'LICENSE'),
  );
  for (const place of places) {
    const found = await stat(place).catch(() => undefined);
    if (found?.isFile()) return place;
  }
  throw new Error(`Node's licence is not found: looked at ${places.join(' and ')}`);
}

async function copy(from: string, to: string, mode: number): Promise<void> {
  try {
    await copyFile(from, to);
  } catch (error) {
    throw new Error(`${from} cannot be copied: npm run package brings what is needed`, { cause: error });
  }
  await chmod(to, mode);
}

/** Where the dynamic linker finds a library of a program. */
async function libraryPath(program: string, library: string): Promise<string> {
  const line = (await run('ldd', [program])).split('\n').find(text => text.includes(`${library} => /`));
  const path = line === undefined ? undefined : /=> (\/\S+)/.exec(line)?.[1];
  if (path === undefined) throw new Error(`${program}: ${library} is not found on this machine`);
  return path;
}

async function run(program: string, args: readonly string[]): Promise<string> {
  try {
    const { code, stdout, stderr } = await runChild(program, args, { timeoutMs: 120_000 });
    if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${code}: ${stderr.trim()}`);
    return stdout;
  } catch (error) {
    if (error instanceof ChildError && error.reason === 'spawn')
      throw new Error(
        `${program} is not installed (Debian packages binutils, binutils-aarch64-linux-gnu or binutils-x86-64-linux-gnu, patchelf, libc-bin)`,
      );
    throw error;
  }
}
