import { chmod, chown, lstat, rename, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { acquireFileLock } from '../files/file-lock.ts';
import { runChild } from '../processes/child.ts';
import { errorMessage } from '../unknown-values.ts';
import { UnusableError } from '../unusable.ts';

/** The socket cannot be created. The message says why and what to do. */
export class SocketError extends UnusableError {
  constructor(message: string) {
    super(message);
    this.name = 'SocketError';
  }
}

export interface SocketGroup {
  /** The name or number of the group. */
  name: string;
  /** The setting that names the group, for error messages. */
  from: string;
}

export interface SocketOptions {
  path: string;
  /** The group that may connect (mode 0660). undefined: only the owner may (mode 0600). */
  group: SocketGroup | undefined;
  /** Makes a server listen on the given temporary path. */
  listen: (path: string) => Promise<void>;
}

/** A listening socket at its final path. */
export interface PlacedSocket {
  path: string;
  /** Whether the path still leads to this socket. */
  isThere(): Promise<boolean>;
  /** Removes the socket file, unless another socket has replaced it. */
  remove(): Promise<void>;
}

/** The longest path, in bytes. sun_path holds 108 bytes with the final NUL. */
const maxPathBytes = 107;
const temporarySuffix = '.new';

/**
 * Creates a listening socket at a path. It has its final mode and owner from the first moment: it listens under a temporary
 * name, gets mode and owner there, and is renamed. A stale socket is replaced; a live one, or another kind of file, is not
 * (docs/contract.md §2). A lock file prevents two processes from both finding the old socket stale.
 *
 * @throws SocketError
 */
export async function placeSocket({ path, group, listen }: SocketOptions): Promise<PlacedSocket> {
  const temporary = `${path}${temporarySuffix}`;
  if (Buffer.byteLength(temporary) > maxPathBytes)
    throw new SocketError(
      `${path} is too long for a socket: expected at most ${maxPathBytes - temporarySuffix.length} bytes`,
    );
  const gid = group === undefined ? undefined : await groupId(group);
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (folder?.isDirectory() !== true)
    throw new SocketError(`${dirname(path)} is not a folder: the socket needs one that exists`);
  const lock = await acquireFileLock(`${path}.lock`);
  if (lock === undefined) throw new SocketError(`${path} is in use: another process starts there`);
  try {
    await refuseOccupied(path);
    await rm(temporary, { force: true });
    const umask = process.umask(0o177);
    try {
      await listen(temporary);
    } finally {
      process.umask(umask);
    }
    if (group !== undefined && gid !== undefined) await openToGroup(temporary, gid, group);
    await rename(temporary, path);
  } finally {
    await lock.release();
  }
  const { ino } = await lstat(path);
  const isThere = async () => (await lstat(path).catch(() => undefined))?.ino === ino;
  return {
    path,
    isThere,
    async remove() {
      if (await isThere()) await rm(path, { force: true });
    },
  };
}

async function openToGroup(path: string, gid: number, { name, from }: SocketGroup): Promise<void> {
  try {
    await chown(path, process.getuid?.() ?? -1, gid);
    await chmod(path, 0o660);
  } catch (error) {
    throw new SocketError(
      `${from}=${JSON.stringify(name)}: the socket cannot be given to it: ${errorMessage(error)}`,
    );
  }
}

async function refuseOccupied(path: string): Promise<void> {
  const there = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new SocketError(`${path}: ${error.message}`);
  });
  if (there === undefined) return;
  if (!there.isSocket())
    throw new SocketError(`${path} is there and is not a socket: remove it or choose another path`);
  if (await answers(path)) throw new SocketError(`${path} is in use: another process listens there`);
}

/** Whether a process still listens; a socket file outlives one that was killed. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect({ path });
    probe.setTimeout(2000, () => {
      probe.destroy();
      resolve(true); // the backlog is full, so a process listens
    });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(new SocketError(`${path}: ${error.message}`));
    });
  });
}

/** Looks up the id of a group by name or number in the system's name services. */
async function groupId({ name, from }: SocketGroup): Promise<number> {
  const { code, stdout } = await runChild('getent', ['group', '--', name], { timeoutMs: 5000 });
  const gid = /^[^:\n]*:[^:\n]*:(\d+):/.exec(stdout)?.[1];
  if (code !== 0 || gid === undefined)
    throw new SocketError(`${from}=${JSON.stringify(name)}: expected a group that this system knows`);
  return Number(gid);
}
