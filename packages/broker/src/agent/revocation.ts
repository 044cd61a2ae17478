import { realpath, stat } from 'node:fs/promises';
import {
  createChangeSignal,
  errorMessage,
  followFiles,
  type Hangups,
  type Logger,
  readRegularFile,
  type UnreadFilesList,
  UnusableError,
  writeFileAtomically,
} from '@coold/runtime';
import { RefusedError } from '../hosts/refused-error.ts';
import {
  createSharedList,
  parseSharedList,
  type SharedChange,
  type SharedList,
  type SharedRevocations,
} from '../peers/revocations/shared-list.ts';
import { type DenyList, type DenyListEdit, editTokens, emptyDenyList, parseDenyList } from './deny-list.ts';

/** The current deny list. */
export interface Revocation {
  isRevoked: DenyList['has'];
  /** Undefined when this broker has no file for it. */
  edits: RevocationEdits | undefined;
  /** The revocations that all brokers share; undefined when this one is alone. */
  shared: SharedRevocations | undefined;
}

/** Changes of the deny list, each written to its file before it resolves. */
export interface RevocationEdits {
  /** Returns the list in force. */
  list(): Pick<DenyList, 'hosts' | 'tokens'>;
  /**
   * Revokes a token. Its streams have ended when this resolves. A token that is revoked already stays revoked.
   *
   * @throws RefusedError 503 when the list is full, or the file cannot be read, parsed or written; nothing has changed
   * then
   */
  revoke(tokenId: string): Promise<void>;
  /** Removes a token from the list, if it is there. @throws RefusedError 503 as `revoke` does */
  restore(tokenId: string): Promise<void>;
}

export interface RevocationOptions {
  /** BROKER_REVOKED_FILE; undefined when no token is revoked. */
  path: string | undefined;
  /** Called after the list has changed. */
  onChange: () => void;
  /** Receives files that could not be read again. */
  unread?: Pick<UnreadFilesList, 'note'> | undefined;
  hangups: Hangups;
  log: Logger;
  signal: AbortSignal;
  /** The number of entries up to which another may be added. */
  maxEntries?: number;
  /** Whether there are other brokers to share with. */
  isShared?: boolean;
}

/** Enough for more than a hundred thousand entries. */
export const maxFileBytes = 16 * 1024 * 1024;
const defaultMaxEntries = 50_000;
/** The most changes that wait for one another. */
const maxWaiting = 100;

/**
 * Follows the file of the deny list: it is read again when it changes and on SIGHUP. When the file is invalid or
 * missing, the last good list stays in force and an error is logged.
 *
 * @throws Error naming variable, file and line when the file is not usable at start
 */
export async function keepRevocation(options: RevocationOptions): Promise<Revocation> {
  const { path, isShared = false } = options;
  if (path === undefined) return isShared ? keepInMemory(options) : nothingRevoked;
  const file = new DenyListFile(path, options);
  await file.follow(options);
  if (isShared) return keepShared(file, options);
  return {
    isRevoked: token => file.list.has(token),
    edits: {
      list: () => file.list,
      revoke: tokenId => file.change([{ tokenId, isRevoked: true }]),
      restore: tokenId => file.change([{ tokenId, isRevoked: false }]),
    },
    shared: undefined,
  };
}

const nothingRevoked: Revocation = { isRevoked: () => false, edits: undefined, shared: undefined };

/** Keeps what other brokers report, without a file. */
function keepInMemory({ onChange, log }: RevocationOptions): Revocation {
  const list = createSharedList();
  return {
    isRevoked: ({ tokenId }) => tokenId !== undefined && list.isRevoked(tokenId),
    edits: undefined,
    shared: shareRevocations({ list, onChange, keep: async () => {}, log }),
  };
}

/** The deny list in its file, and its changes, one after the other. */
class DenyListFile {
  readonly path: string;
  readonly maxEntries: number;
  readonly #onChange: () => void;
  readonly #inTurn = createTurns();
  #list = emptyDenyList;
  #waiting = 0;

  constructor(path: string, { onChange, maxEntries = defaultMaxEntries }: RevocationOptions) {
    this.path = path;
    this.maxEntries = maxEntries;
    this.#onChange = onChange;
  }

  /** The list as last read or written. */
  get list(): DenyList {
    return this.#list;
  }

  /**
   * Reads the file now and whenever it changes.
   *
   * @throws Error naming variable, file and line when it is not usable now
   */
  async follow({ unread, hangups, log, signal }: RevocationOptions): Promise<void> {
    this.#list = await followFiles({
      what: 'deny list',
      paths: [this.path],
      // In sequence with changes: a list read before a change must not replace its result.
      read: () => this.#inTurn(() => readDenyList(this.path)),
      use: next => this.#use(next),
      unread,
      hangups,
      log,
      signal,
    });
    log.info({ path: this.path, entries: this.#list.size }, 'deny list read');
  }

  /**
   * Writes changes of tokens to the file.
   *
   * @throws RefusedError 503 when it cannot be written, or too many changes wait
   */
  async change(edits: readonly DenyListEdit[]): Promise<void> {
    if (this.#waiting >= maxWaiting)
      throw new RefusedError('revocation_failed', `${maxWaiting} changes of the deny list wait already`);
    this.#waiting += 1;
    try {
      await this.#inTurn(async () => {
        const next = await editFile(this.path, text => editTokens(text, edits), this.maxEntries);
        if (next !== undefined) this.#use(next);
      });
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Writes what brokers have reported to each other to the second file. */
  writeShared(text: () => string): Promise<void> {
    return this.#inTurn(async () => {
      const { mode } = await stat(this.path);
      await writeFileAtomically(sharedPath(await realpath(this.path)), text(), mode & 0o777);
    });
  }

  #use(next: DenyList): void {
    this.#list = next;
    this.#onChange();
  }
}

/** Keeps the file's list and what other brokers report, and tells them what changes here. */
async function keepShared(file: DenyListFile, { onChange, log }: RevocationOptions): Promise<Revocation> {
  const { path, maxEntries } = file;
  const known = createSharedList({ maxRevoked: maxEntries });
  known.merge(await readSharedList(sharedPath(path), log));
  const writeShared = () => file.writeShared(() => known.text());
  const shared = shareRevocations({
    list: known,
    onChange,
    log,
    // The deny list first: the other brokers report again what only the second file has.
    async keep(taken) {
      await file.change(taken);
      await writeShared();
    },
  });
  /** The caller is answered once the change is in both files. */
  const tell = async (tokenId: string, isRevoked: boolean) => {
    known.merge([known.next(tokenId, isRevoked, Date.now())]);
    onChange();
    shared.changed.announce();
    await writeShared().catch((error: unknown) => {
      throw new RefusedError('revocation_failed', `${sharedPath(path)}: ${errorMessage(error)}`);
    });
  };
  return {
    isRevoked: token =>
      file.list.has(token) || (token.tokenId !== undefined && known.isRevoked(token.tokenId)),
    shared,
    edits: {
      list: () => ({ hosts: file.list.hosts, tokens: new Set([...file.list.tokens, ...known.revoked()]) }),
      async revoke(tokenId) {
        // Checked before anything changes: a confirmed revocation has to reach the other brokers.
        if (!known.isRevoked(tokenId) && !known.hasRoom())
          throw new RefusedError(
            'revocation_failed',
            `${sharedPath(path)} is full: expected at most ${maxEntries} tokens that brokers have revoked`,
          );
        await file.change([{ tokenId, isRevoked: true }]);
        if (!known.isRevoked(tokenId)) await tell(tokenId, true);
      },
      async restore(tokenId) {
        await file.change([{ tokenId, isRevoked: false }]);
        await tell(tokenId, false);
      },
    },
  };
}

/** The second file holds the entries that brokers share, with their versions. */
const sharedPath = (path: string) => `${path}.shared`;

interface ShareOptions {
  list: SharedList;
  onChange: () => void;
  /** Writes them to the disk. */
  keep(taken: readonly SharedChange[]): Promise<void>;
  log: Logger;
}

function shareRevocations({ list, onChange, keep, log }: ShareOptions): SharedRevocations {
  const changed = createChangeSignal();
  return {
    changed,
    since: list.since,
    merge(changes) {
      const { taken, left } = list.merge(changes);
      if (left > 0)
        log.error({ left_out: left }, 'other brokers have revoked more tokens than the list can hold');
      if (taken.length === 0) return;
      const count = (isRevoked: boolean) => taken.filter(each => each.isRevoked === isRevoked).length;
      log.info({ revoked: count(true), restored: count(false) }, 'tokens were revoked by another broker');
      onChange();
      changed.announce();
      keep(taken).catch((error: unknown) => {
        const line =
          'tokens that another broker revoked are refused, but could not be written to disk; after a restart they are fetched from it again';
        log.error({ reason: errorMessage(error) }, line);
      });
    },
  };
}

/** Returns an empty list when the file is missing or unreadable: revoked tokens are in the deny list too. */
async function readSharedList(path: string, log: Logger): Promise<SharedChange[]> {
  try {
    return parseSharedList(await readRegularFile(path, { maxBytes: 4 * maxFileBytes }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn({ path, reason: errorMessage(error) }, 'ignoring what brokers shared before');
    return [];
  }
}

/** Runs work in sequence, whether or not earlier work failed. */
function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return work => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
}

/**
 * Returns the list after the change; undefined when nothing had to change.
 *
 * @throws RefusedError 503; the file is unchanged then
 */
async function editFile(
  path: string,
  edit: (text: string) => string,
  maxEntries: number,
): Promise<DenyList | undefined> {
  try {
    // A file that is too long can still be shortened.
    const before = await readRegularFile(path, { maxBytes: 4 * maxFileBytes });
    const text = edit(before);
    if (text === before) return undefined;
    const list = parseDenyList(text);
    const isGrowing = text.length > before.length;
    if (isGrowing && (list.size > maxEntries || Buffer.byteLength(text) > maxFileBytes))
      throw new Error(`is full: expected at most ${maxEntries} entries in ${maxFileBytes} bytes`);
    // Behind a symlink, the file itself is replaced, not the link.
    const { mode } = await stat(path);
    await writeFileAtomically(await realpath(path), text, mode & 0o777);
    return list;
  } catch (error) {
    throw new RefusedError('revocation_failed', `BROKER_REVOKED_FILE=${path}: ${errorMessage(error)}`);
  }
}

async function readDenyList(path: string): Promise<DenyList> {
  try {
    return parseDenyList(await readRegularFile(path, { maxBytes: maxFileBytes }));
  } catch (error) {
    throw new UnusableError(`BROKER_REVOKED_FILE=${path}: ${errorMessage(error)}`, { cause: error });
  }
}
