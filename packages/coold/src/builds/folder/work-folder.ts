import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { forgetSecretsIn } from '@coold/builder-core';
import { isObject, parseJson, runChild, syncFolder, writeFileAtomically } from '@coold/runtime';
import { type BuildOutcome, readError, readResult } from './build-outcome.ts';
import { isRequestId } from './request-id.ts';

/**
 * The work folders, `<root>/<request_id>` (docs/contract.md §7), which record all builds and the progress of each. Every
 * change is atomic, even across a crash: a folder appears and disappears by a rename.
 */
export interface WorkFolders {
  root: string;
  /** Returns the path of a build's work folder. @throws Error for a text that is no request_id */
  pathOf(requestId: string): string;
  /**
   * Creates the folder with the request, the nonce of the dispatch where it has one, and the marker of a build that was not
   * started.
   *
   * @param queuedAt in ms since 1970
   * @throws Error EEXIST or ENOTEMPTY when the folder exists, ENOSPC …
   */
  create(requestId: string, request: object, queuedAt: number, nonce?: string): Promise<void>;
  /** Reads a folder. Returns undefined when it does not exist or holds no build. @throws Error when it cannot be read */
  read(requestId: string): Promise<FoundFolder | undefined>;
  /** Returns the names of all folders that could be builds, and removes folders that were half created or half removed. */
  list(): Promise<string[]>;
  /** Writes the marker of a cancel. It is on the disk when this resolves. */
  markCancelled(requestId: string): Promise<void>;
  /** Records that the unit was started, so that it is not started again after a crash. */
  markStarted(requestId: string): Promise<void>;
  /** Records when the result was first read, in ms since 1970. A second call changes nothing. */
  markRead(requestId: string, readAt: number): Promise<void>;
  /** Removes the credentials from the request of a build that has ended or never begins. @throws Error */
  forgetSecrets(requestId: string): Promise<void>;
  /** Writes the outcome. @throws Error */
  record(requestId: string, outcome: BuildOutcome): Promise<void>;
  /** Appends a line to events.ndjson. Call it only while no builder runs. Never rejects. */
  say(requestId: string, frame: object): Promise<void>;
  /** Returns the last 4096 bytes of events.ndjson, or an empty text. */
  outputTail(requestId: string): Promise<string>;
  /** Removes the folder. @throws Error when it cannot be renamed, or parts of it stay */
  remove(requestId: string): Promise<void>;
}

/** The content of a work folder. */
export interface FoundFolder {
  /** The parsed request.json. undefined: it is missing or not JSON. */
  request: Record<string, unknown> | undefined;
  /** When the build was queued, in ms since 1970. undefined: it was started. */
  queuedAt: number | undefined;
  cancelled: boolean;
  outcome: BuildOutcome | undefined;
  /** When the outcome was written, or without one when the folder changed, in ms since 1970. */
  changedAt: number;
  /** When the result was first read, in ms since 1970. undefined: it was not read. */
  readAt: number | undefined;
  /** The nonce of the dispatch, empty where it had none. */
  nonce: string;
}

const files = {
  request: 'request.json',
  events: 'events.ndjson',
  result: 'result.json',
  error: 'error.json',
  queued: 'queued',
  cancel: 'cancel',
  read: 'read',
  nonce: 'nonce',
} as const;

export const eventsFileName = files.events;
/** Prefixes of temporary folders. No request_id begins with a dot. */
const halfMade = '.new-';
const halfRemoved = '.gone-';
const removalMs = 120_000;
const lastBytes = 4096;
const maxFileBytes = 1 << 20;

export function createWorkFolders(root: string): WorkFolders {
  const pathOf = (requestId: string) => {
    if (!isRequestId(requestId)) throw new Error(`${JSON.stringify(requestId)} is no request_id`);
    return join(root, requestId);
  };

  return {
    root,
    pathOf,
    create: async (requestId, request, queuedAt, nonce) =>
      createFolder(root, pathOf(requestId), { request, queuedAt, nonce }),
    read: async requestId => readFolder(pathOf(requestId)),
    list: () => listFolders(root),
    async markCancelled(requestId) {
      const folder = pathOf(requestId);
      // An empty file can be created on a full disk, too.
      const file = await open(join(folder, files.cancel), 'a', 0o600);
      await file.close();
      await syncFolder(folder);
    },
    async markStarted(requestId) {
      const folder = pathOf(requestId);
      await rm(join(folder, files.queued), { force: true });
      await syncFolder(folder);
    },
    async markRead(requestId, readAt) {
      const path = join(pathOf(requestId), files.read);
      if ((await readIfThere(path)) === undefined) await writeFileAtomically(path, `${readAt}\n`, 0o600);
    },
    async forgetSecrets(requestId) {
      await forgetSecretsIn(join(pathOf(requestId), files.request));
    },
    async record(requestId, outcome) {
      const name = outcome.kind === 'ok' ? files.result : files.error;
      const content = outcome.kind === 'ok' ? outcome.ok : outcome.err;
      await writeFileAtomically(join(pathOf(requestId), name), `${JSON.stringify(content)}\n`, 0o600);
    },
    async say(requestId, frame) {
      const path = join(pathOf(requestId), files.events);
      await appendFile(path, `${JSON.stringify(frame)}\n`, { mode: 0o600 }).catch(() => {
        // The disk is full. Losing progress is better than failing the build.
      });
    },
    outputTail: async requestId => readEnd(join(pathOf(requestId), files.events)),
    async remove(requestId) {
      const gone = aside(root, halfRemoved);
      try {
        await rename(pathOf(requestId), gone);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
        throw error;
      }
      await syncFolder(root);
      await removeTree(gone);
    },
  };
}

/** Returns a new path for a folder that is half created or half removed. */
function aside(root: string, prefix: string): string {
  return join(root, `${prefix}${randomBytes(8).toString('hex')}`);
}

async function createFolder(
  root: string,
  path: string,
  content: { request: object; queuedAt: number; nonce: string | undefined },
): Promise<void> {
  const { request, queuedAt, nonce = '' } = content;
  await mkdir(root, { recursive: true, mode: 0o700 });
  const folder = aside(root, halfMade);
  await mkdir(folder, { mode: 0o700 });
  try {
    await writeFileAtomically(join(folder, files.request), JSON.stringify(request), 0o600);
    await writeFileAtomically(join(folder, files.queued), `${queuedAt}\n`, 0o600);
    if (nonce !== '') await writeFileAtomically(join(folder, files.nonce), `${nonce}\n`, 0o600);
    // rename(2) fails when the target is a folder with content, so an earlier build is never replaced.
    await rename(folder, path);
  } catch (error) {
    await rm(folder, { recursive: true, force: true }).catch(() => {}); // the next start removes it
    throw error;
  }
  await syncFolder(root);
}

async function readFolder(folder: string): Promise<FoundFolder | undefined> {
  const text = (name: string) => readIfThere(join(folder, name));
  const folderStats = await stat(folder).catch(ignoreMissing);
  if (folderStats === undefined || !folderStats.isDirectory()) return undefined;
  const [request, queued, cancel, result, error, read, nonce] = await Promise.all(
    [files.request, files.queued, files.cancel, files.result, files.error, files.read, files.nonce].map(text),
  );
  const isBuild = [request, queued, cancel, result, error].some(found => found !== undefined);
  // A folder without files of a build is not ours: the operator may have configured a folder that others use, too.
  if (!isBuild) return undefined;
  const outcome =
    (result === undefined ? undefined : readResult(result.text)) ??
    (error === undefined ? undefined : readError(error.text));
  return {
    request: request === undefined ? undefined : parseObject(request.text),
    queuedAt: queued === undefined ? undefined : Number.parseInt(queued.text, 10) || 0,
    cancelled: cancel !== undefined,
    outcome,
    changedAt: (result ?? error)?.changedAt ?? folderStats.mtimeMs,
    readAt: read === undefined ? undefined : Number.parseInt(read.text, 10) || read.changedAt,
    nonce: nonce?.text.trim() ?? '',
  };
}

async function listFolders(root: string): Promise<string[]> {
  const names = await readdir(root).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names)
    if (name.startsWith(halfMade) || name.startsWith(halfRemoved))
      await removeTree(join(root, name)).catch(() => {}); // the next start tries again
  return names.filter(isRequestId);
}

/** Returns the last bytes of a file as text, empty when it cannot be opened. */
async function readEnd(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return '';
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(lastBytes),
      0,
      lastBytes,
      Math.max(0, size - lastBytes),
    );
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await file.close();
  }
}

/** Removes a folder tree. @throws Error when parts of it stay; the next start tries again */
async function removeTree(path: string): Promise<void> {
  const { code, stderr } = await runChild('rm', ['-rf', '--one-file-system', '--', path], {
    timeoutMs: removalMs,
  });
  if (code !== 0) throw new Error(`${path} stays: ${stderr.trim().slice(0, 500)}`);
}

async function readIfThere(path: string): Promise<{ text: string; changedAt: number } | undefined> {
  const stats = await stat(path).catch(ignoreMissing);
  if (stats === undefined || !stats.isFile()) return undefined;
  if (stats.size > maxFileBytes) return { text: '', changedAt: stats.mtimeMs };
  const text = await readFile(path, 'utf8').catch(ignoreMissing); // it may go just now
  return text === undefined ? undefined : { text, changedAt: stats.mtimeMs };
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  const value = parseJson(text);
  return isObject(value) ? value : undefined;
}
