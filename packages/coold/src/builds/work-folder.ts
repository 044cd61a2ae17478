import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { forgetSecretsIn } from '@coold/builder-core';
import { runChild, writeFileAtomically } from '@coold/runtime';
import { type BuildOutcome, readError, readResult } from './build-outcome.ts';
import { isRequestId } from './request-id.ts';

/**
 * The work folders, `<root>/<request_id>` (docs/contract.md §7): what builds there are, and how far each is. Whatever
 * is done here is whole after a crash or is not: a folder comes with a rename, and goes with one.
 */
export interface WorkFolders {
  root: string;
  pathOf(requestId: string): string;
  /**
   * Makes the folder with its request, the nonce of its dispatch where it has one, and the marker that the build has not been
   * started. @throws Error EEXIST …
   */
  create(requestId: string, request: object, queuedAt: number, nonce?: string): Promise<void>;
  /** @returns undefined when there is no such folder, or nothing of a build in it */
  read(requestId: string): Promise<FoundFolder | undefined>;
  /** Every name in the root that could be a build's; what is left of half-made and half-removed ones goes. */
  list(): Promise<string[]>;
  /** The marker that its cancel was asked for; on the disk when this resolves. */
  markCancelled(requestId: string): Promise<void>;
  /** Its unit was started: after a crash it is not started again. */
  markStarted(requestId: string): Promise<void>;
  /** Its result was read at that time, in ms since 1970; a second time changes nothing. */
  markRead(requestId: string, readAt: number): Promise<void>;
  /** Takes what only a builder needs to know out of its request: it has ended, or never begins. @throws Error */
  forgetSecrets(requestId: string): Promise<void>;
  /** Makes this the outcome that is read from now on. @throws Error */
  record(requestId: string, outcome: BuildOutcome): Promise<void>;
  /** Appends a line to events.ndjson; only while no builder runs, and best effort. */
  say(requestId: string, frame: object): Promise<void>;
  /** The end of events.ndjson, as it is, or nothing. */
  lastWords(requestId: string): Promise<string>;
  remove(requestId: string): Promise<void>;
}

/** What a work folder says. */
export interface FoundFolder {
  /** request.json, parsed; undefined: none that can be read. */
  request: Record<string, unknown> | undefined;
  /** Not started yet: since when it waits, in ms since 1970. */
  queuedAt: number | undefined;
  cancelled: boolean;
  outcome: BuildOutcome | undefined;
  /** When its outcome was written, in ms since 1970; of the folder where there is none. */
  changedAt: number;
  /** When its result was first read, in ms since 1970; undefined: nobody has read it. */
  readAt: number | undefined;
  /** Of its dispatch; empty where that had none. */
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
/** Names that are no request_id, so that no build can have them. */
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
  const aside = (prefix: string) => join(root, `${prefix}${randomBytes(8).toString('hex')}`);

  return {
    root,
    pathOf,
    async create(requestId, request, queuedAt, nonce = '') {
      await mkdir(root, { recursive: true, mode: 0o700 });
      const path = pathOf(requestId);
      const folder = aside(halfMade);
      await mkdir(folder, { mode: 0o700 });
      try {
        await writeFileAtomically(join(folder, files.request), JSON.stringify(request), 0o600);
        await writeFileAtomically(join(folder, files.queued), `${queuedAt}\n`, 0o600);
        if (nonce !== '') await writeFileAtomically(join(folder, files.nonce), `${nonce}\n`, 0o600);
        // Over a folder with something in it a rename fails; that is what keeps an earlier build's.
        await rename(folder, path);
      } catch (error) {
        await rm(folder, { recursive: true, force: true }).catch(() => {}); // the next start removes it
        throw error;
      }
      await syncFolder(root);
    },
    async read(requestId) {
      const folder = pathOf(requestId);
      const text = (name: string) => readIfThere(join(folder, name));
      const folderStats = await stat(folder).catch(ignoreMissing);
      if (folderStats === undefined || !folderStats.isDirectory()) return undefined;
      const [request, queued, cancel, result, error, read, nonce] = await Promise.all(
        [files.request, files.queued, files.cancel, files.result, files.error, files.read, files.nonce].map(
          text,
        ),
      );
      const isBuild = [request, queued, cancel, result, error].some(found => found !== undefined);
      // Where a build has left nothing, nothing is ours: an operator may have named a folder that others use as well.
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
    },
    async list() {
      const names = await readdir(root).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw error;
      });
      for (const name of names)
        if (name.startsWith(halfMade) || name.startsWith(halfRemoved))
          await removeTree(join(root, name)).catch(() => {}); // the next start tries again
      return names.filter(isRequestId);
    },
    async markCancelled(requestId) {
      const folder = pathOf(requestId);
      // Empty: that has room on a full disk.
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
        // A full disk: progress is worth less than the build.
      });
    },
    async lastWords(requestId) {
      const file = await open(join(pathOf(requestId), files.events), 'r').catch(() => undefined);
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
    },
    async remove(requestId) {
      const gone = aside(halfRemoved);
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

/** @throws Error when something of it stays; the next start tries again */
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
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
