import { chmod, copyFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { ChildError, runChild } from '@coold/runtime';

/**
 * Puts the Node that runs this build into a folder, as a runtime that needs nothing but what every Debian has: without
 * symbols, and with libatomic beside it, which Node links against and minimal systems lack.
 */
export async function placeNode(folder: string): Promise<void> {
  const node = join(folder, 'node');
  const library = join(folder, 'libatomic.so.1');
  await copyFile(await realpath(process.execPath), node);
  await chmod(node, 0o755);
  // In this order: a later strip would undo what patchelf moved.
  await run('strip', ['--strip-all', node]);
  await run('patchelf', ['--set-rpath', '$ORIGIN', node]);
  await copyFile(await libraryPath(process.execPath, 'libatomic.so.1'), library);
  await chmod(library, 0o644);
  const loaded = await libraryPath(node, 'libatomic.so.1');
  if ((await realpath(loaded)) !== (await realpath(library)))
    throw new Error(`${node} would load ${loaded}, not the libatomic.so.1 beside it`);
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
      throw new Error(`${program} is not installed (Debian packages binutils, patchelf, libc-bin)`);
    throw error;
  }
}
