import { EventEmitter } from 'node:events';
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { logFilter } from './log-filter.ts';
import { createLogger } from './logger.ts';
import { reloadOnChange } from './reload.ts';

const off = createLogger('coold', logFilter.parse('off') ?? expect.fail(), false);

async function watch(load: () => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'reload-'));
  const path = join(folder, 'file');
  await writeFile(path, 'one');
  const stop = new AbortController();
  const hangups = new EventEmitter();
  const error = vi.fn();
  const info = vi.fn();
  reloadOnChange({
    what: 'the file',
    paths: [path],
    load,
    hangups,
    log: { ...off, error, info },
    signal: stop.signal,
    everyMs: 50,
  });
  return {
    path,
    hangups,
    stop,
    error,
    info,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await rm(folder, { recursive: true });
    },
  };
}

it('a file is loaded again on SIGHUP and when it changed, however it did', async () => {
  const load = vi.fn(() => Promise.resolve());
  await using watched = await watch(load);
  const { path, hangups } = watched;
  hangups.emit('SIGHUP');
  await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(1));
  await delay(100);
  await writeFile(path, 'in place');
  await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(2));
  await writeFile(`${path}.new`, 'renamed');
  await rename(`${path}.new`, path);
  await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(3));
  await writeFile(`${path}.target`, 'behind a link');
  await symlink(`${path}.target`, `${path}.link`);
  await rename(`${path}.link`, path);
  await vi.waitFor(() => expect(load).toHaveBeenCalledTimes(4));
  await vi.waitFor(() => expect(watched.info).toHaveBeenCalledTimes(4));
});

it('that cannot be loaded is a line in the log, and the next time is as good as any', async () => {
  const load = vi.fn(() => Promise.resolve());
  load.mockRejectedValueOnce(new Error('no good'));
  await using watched = await watch(load);
  watched.hangups.emit('SIGHUP');
  watched.hangups.emit('SIGHUP');
  await vi.waitFor(() => expect(watched.info).toHaveBeenCalledTimes(1));
  expect(watched.error.mock.calls).toMatchObject([[{ err: { message: 'no good' } }, expect.any(String)]]);
});

it('nothing is loaded once it is over', async () => {
  const load = vi.fn(() => Promise.resolve());
  await using watched = await watch(load);
  watched.stop.abort();
  watched.hangups.emit('SIGHUP');
  await writeFile(watched.path, 'two');
  await delay(200);
  expect(load).not.toHaveBeenCalled();
  expect(watched.hangups.listenerCount('SIGHUP')).toBe(0);
});
