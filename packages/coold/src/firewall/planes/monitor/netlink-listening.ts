import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pause } from '@coold/runtime';

/**
 * Waits until a program listens to the announcements of nf_tables. The program does not say when it does, and events
 * before that are never announced to it; the kernel's list of netlink sockets tells.
 *
 * @param timeoutMs how long to wait
 * @param over ends the wait with false
 */
export async function isListening(pid: number, timeoutMs: number, over: AbortSignal): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (!over.aborted && performance.now() < end) {
    if (await listensNow(pid)) return true;
    await pause(5, over);
  }
  return false;
}

async function listensNow(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/net/netlink`, 'utf8').catch(() => '');
  const sockets = text.split('\n').flatMap(line => listeningSocket(line) ?? []);
  // The first socket of a process has its process id as port. Its open files tell which others are its own.
  if (sockets.length === 0 || sockets.some(({ port }) => port === pid)) return sockets.length > 0;
  const folder = `/proc/${pid}/fd`;
  const names = await readdir(folder).catch(() => []);
  const links = await Promise.all(names.map(name => readlink(join(folder, name)).catch(() => '')));
  return sockets.some(({ inode }) => links.includes(`socket:[${inode}]`));
}

/** Parses a socket that listens to netfilter: protocol 12 with a group mask. Pure. */
export function listeningSocket(line: string): { port: number; inode: string } | undefined {
  const [, port, inode] = /^\S+ +12 +(\d+) +(?!0+ )[0-9a-f]+ (?:.* )?(\d+) *$/.exec(line) ?? [];
  return port === undefined || inode === undefined ? undefined : { port: Number(port), inode };
}
