import { EventEmitter } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger, logFilter } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { expect, it, vi } from 'vitest';
import { keepRevocation } from './revocation.ts';

const off = createLogger('broker', logFilter.parse('off') ?? expect.fail(), false);

async function keep(content: string | undefined) {
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
    ...{ path, onChange, hangups, signal: stop.signal },
    log: { ...off, error },
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
  const [fields] = list.error.mock.calls[0] as [{ err: Error }];
  expect(fields.err.message).toBe(
    `BROKER_REVOKED_FILE=${list.path}: line 2: expected "sub HOST-ID" or "jti TOKEN-ID"`,
  );
  await rm(list.path);
  list.hangups.emit('SIGHUP');
  await soon(() => expect(list.error.mock.calls.length).toBeGreaterThan(1));
  expect([await list.isRevoked('b'), await list.isRevoked('c')]).toEqual([true, false]);
});

it('a change of the file is seen by itself', async () => {
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
