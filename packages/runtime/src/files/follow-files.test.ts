import { EventEmitter, once } from 'node:events';
import { mkdtemp, open, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { logFilter } from '../logs/log-filter.ts';
import { createLogger } from '../logs/logger.ts';
import { followFiles } from './follow-files.ts';
import { createUnreadFiles } from './unread-files.ts';

const off = createLogger('coold', logFilter.parse('off') ?? expect.fail(), false);
/** Of a busy machine. */
const soon = { timeout: 30_000 };

interface Followed {
  everyMs?: number;
  read?: (text: string, path: string) => string | Promise<string>;
}

/** A file of ours that is followed. */
async function follow({ everyMs = 20, read = text => text }: Followed = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'follow-'));
  const path = join(folder, 'file');
  await writeFile(path, 'one');
  const stop = new AbortController();
  const hangups = new EventEmitter();
  const used: string[] = [];
  const error = vi.fn();
  const unread = createUnreadFiles();
  const first = await followFiles({
    what: 'the file',
    paths: [path],
    read: async () => read(await readFile(path, 'utf8'), path),
    use: text => used.push(text),
    unread,
    hangups,
    log: { ...off, error },
    signal: stop.signal,
    everyMs,
  });
  return {
    path,
    stop,
    hangups,
    used,
    error,
    unread,
    first,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await rm(folder, { recursive: true });
    },
  };
}

it('a file is read, and again when it has changed, however it did', async () => {
  await using file = await follow();
  const { path, used } = file;
  expect([file.first, used]).toEqual(['one', []]);
  await writeFile(path, 'in place');
  await vi.waitFor(() => expect(used).toEqual(['in place']), soon);
  await writeFile(`${path}.new`, 'renamed');
  await rename(`${path}.new`, path);
  await vi.waitFor(() => expect(used).toEqual(['in place', 'renamed']), soon);
  await writeFile(`${path}.target`, 'behind a link');
  await symlink(`${path}.target`, `${path}.link`);
  await rename(`${path}.link`, path);
  await vi.waitFor(() => expect(used).toEqual(['in place', 'renamed', 'behind a link']), soon);
});

it('and on SIGHUP, without waiting for the next look', async () => {
  await using file = await follow({ everyMs: 3_600_000 });
  await writeFile(file.path, 'two');
  file.hangups.emit('SIGHUP');
  await vi.waitFor(() => expect(file.used).toEqual(['two']), soon);
});

it('a change while the file is read is seen, also when it is read for the first time', async () => {
  await using file = await follow({
    async read(text, path) {
      const next = { one: 'two', two: 'three' }[text];
      if (next !== undefined) await writeFile(path, next);
      return text;
    },
  });
  expect(file.first).toBe('one');
  await vi.waitFor(() => expect(file.used).toEqual(['two', 'three']), soon);
});

it('a file that is written in place is read when it is complete', async () => {
  await using file = await follow();
  const handle = await open(file.path, 'w');
  await delay(40);
  await handle.write('all of it');
  await handle.close();
  await vi.waitFor(() => expect(file.used).toEqual(['all of it']), soon);
});

it('one that is written without an end is read nevertheless', async () => {
  await using file = await follow();
  const handle = await open(file.path, 'w');
  await vi.waitFor(
    async () => {
      await handle.write('.');
      expect(file.used).not.toEqual([]);
    },
    { ...soon, interval: 10 },
  );
  await handle.close();
});

it('that cannot be read is a line in the log without a stack and known until it is read, and the next time is as good as any', async () => {
  await using file = await follow({
    read(text) {
      if (text === 'bad') throw new Error('no good');
      return text;
    },
  });
  await writeFile(file.path, 'bad');
  await vi.waitFor(() => expect(file.error).toHaveBeenCalled(), soon);
  expect(file.unread.list()).toEqual([{ what: 'the file', problem: 'no good' }]);
  await writeFile(file.path, 'good');
  await vi.waitFor(() => expect(file.used).toEqual(['good']), soon);
  expect(file.unread.list()).toEqual([]);
  expect(file.error.mock.calls).toEqual([[{ reason: 'no good' }, expect.any(String)]]);
});

it('a first time that fails is the caller’s', async () => {
  const failing = follow({
    read() {
      throw new Error('no good');
    },
  });
  await expect(failing).rejects.toThrow('no good');
});

it('hangups while it is read are one more time, and no more', async () => {
  const gate = new EventEmitter();
  const reads = vi.fn(async (text: string) => {
    if (reads.mock.calls.length === 2) await once(gate, 'open');
    return text;
  });
  await using file = await follow({ everyMs: 3_600_000, read: reads });
  file.hangups.emit('SIGHUP');
  await vi.waitFor(() => expect(reads).toHaveBeenCalledTimes(2), soon);
  for (let times = 0; times < 1000; times += 1) file.hangups.emit('SIGHUP');
  gate.emit('open');
  await vi.waitFor(() => expect(file.used).toHaveLength(2), soon);
  file.hangups.emit('SIGHUP');
  await vi.waitFor(() => expect(file.used).toHaveLength(3), soon);
  expect(reads).toHaveBeenCalledTimes(4);
});

it('reads nothing after its end', async () => {
  const read = vi.fn((text: string) => text);
  await using file = await follow({ read });
  file.stop.abort();
  file.hangups.emit('SIGHUP');
  await writeFile(file.path, 'two');
  await delay(300);
  expect(read).toHaveBeenCalledTimes(1);
  expect(file.hangups.listenerCount('SIGHUP')).toBe(0);
});
