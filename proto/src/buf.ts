import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** The module: where buf.yaml and the .proto files are. */
export const moduleFolder = join(import.meta.dirname, '..');

const program = join(moduleFolder, '../node_modules/@bufbuild/buf/bin/buf');

/** What a run of buf said; `code` is 100 where it found something to complain of. */
export interface BufResult {
  code: number;
  stdout: Buffer;
  stderr: string;
}

/** Runs the buf of this workspace, for tests. */
export function runBuf(args: readonly string[], cwd = moduleFolder): Promise<BufResult> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [program, ...args],
      { cwd, encoding: 'buffer', timeout: 30_000 },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr: stderr.toString() });
        else if (typeof error.code === 'number')
          resolve({ code: error.code, stdout, stderr: stderr.toString() });
        else reject(error);
      },
    );
  });
}

/** Lends a folder that is gone afterwards. */
export async function inTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'proto-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Compiles the .proto files of a folder. */
export async function compileFolder(folder: string): Promise<FileRegistry> {
  const { code, stdout, stderr } = await runBuf(['build', '-o', '-'], folder);
  if (code !== 0) throw new Error(stderr);
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, stdout));
}

/** Compiles .proto texts by their paths; they may import the verb option. */
export function compileProto(files: Record<string, string>): Promise<FileRegistry> {
  return inTemporaryFolder(async folder => {
    const option = 'coolify/agent/v1/verb.proto';
    await cp(join(moduleFolder, option), join(folder, option));
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    return compileFolder(folder);
  });
}
