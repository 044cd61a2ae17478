import { EventEmitter } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { scratchFolder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { expect, it, vi } from 'vitest';
import { keepRevocation, type RevocationOptions } from './revocation.ts';

const off = createLogger('broker', logFilter.parse('off') ?? expect.fail(), false);

async function keep(content: string | undefined, options: Partial<RevocationOptions> = {}) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await scratchFolder());
  const path = join(folder.path, 'revoked');
  if (content !== undefined) await writeFile(path, content);
  const hangups = new EventEmitter();
  const onChange = vi.fn();
  const error = vi.fn();
  const stop = new AbortController();
  stack.defer(() => stop.abort());
  const kept = keepRevocation({
    path,
    onChange,
    hangups,
    signal: stop.signal,
    log: { ...off, error },
    ...options,
  });
  const isRevoked = async (hostId: string) => (await kept).isRevoked({ hostId, tokenId: undefined });
  return {
    path,
    hangups,
    onChange,
    error,
    kept,
    isRevoked,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

it('the list is that of the file; a broken or missing file leaves the last good one, with an error', async () => {
  await using list = await keep('sub a\n');
  expect([await list.isRevoked('a'), await list.isRevoked('b')]).toEqual([true, false]);
  await writeFile(list.path, 'sub b\n');
  list.hangups.emit('SIGHUP');
  await soon(() => expect(list.onChange).toHaveBeenCalledTimes(1));
  expect([await list.isRevoked('a'), await list.isRevoked('b')]).toEqual([false, true]);
  await writeFile(list.path, 'sub c\nrubbish\n');
  list.hangups.emit('SIGHUP');
  await soon(() => expect(list.error).toHaveBeenCalledTimes(1));
  const [fields] = list.error.mock.calls[0] as [{ reason: string }];
  expect(fields.reason).toBe(
    `BROKER_REVOKED_FILE=${list.path}: line 2: expected "sub HOST-ID" or "jti TOKEN-ID"`,
  );
  await rm(list.path);
  list.hangups.emit('SIGHUP');
  await soon(() => expect(list.error.mock.calls.length).toBeGreaterThan(1));
  expect([await list.isRevoked('b'), await list.isRevoked('c')]).toEqual([true, false]);
});

it('notices a change of the file without a signal', async () => {
  await using list = await keep('');
  await list.kept;
  await writeFile(list.path, 'sub later # and longer\n');
  await soon(async () => expect(await list.isRevoked('later')).toBe(true));
});

it.each([
  ['is not there', undefined, 'ENOENT'],
  ['is broken', 'sub\n', 'line 1: expected "sub HOST-ID" or "jti TOKEN-ID"'],
])('a file that %s at start refuses', async (_, content, message) => {
  await using list = await keep(content);
  await expect(list.kept).rejects.toThrow(`BROKER_REVOKED_FILE=${list.path}: `);
  await expect(list.kept).rejects.toThrow(message);
});

it('fails and changes nothing when the other brokers could not be informed', async () => {
  await using list = await keep('', { isShared: true, maxEntries: 2 });
  const { edits = expect.fail(), shared = expect.fail() } = await list.kept;
  shared.merge(['a', 'b'].map(tokenId => ({ tokenId, version: 1, isRevoked: true })));
  await soon(async () => expect(await readFile(list.path, 'utf8')).toBe('jti a\njti b\n'));
  // By hand, so that the file has room where what brokers share has none.
  await writeFile(list.path, 'jti a\n');
  await expect(edits.revoke('c')).rejects.toThrow('.shared is full: expected at most 2 tokens');
  expect(await readFile(list.path, 'utf8')).toBe('jti a\n');
  await edits.revoke('b');
  await edits.restore('a');
  await edits.revoke('c');
  expect((await list.kept).isRevoked({ hostId: 'h', tokenId: 'c' })).toBe(true);
});
