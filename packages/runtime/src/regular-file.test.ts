import { execFileSync } from 'node:child_process';
import { mkdtempDisposable, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { defineCommand } from './config/config.ts';
import { readEnvironmentFile } from './config/environment-file.ts';
import { readSettings } from './config/read-settings.ts';
import { readSecretFile } from './files/secret.ts';
import { readTlsPair } from './files/tls-pair.ts';
import { readRegularFile } from './regular-file.ts';

async function setUp() {
  const folder = await mkdtempDisposable(join(tmpdir(), 'coold-regular-file-'));
  const fifo = join(folder.path, 'fifo');
  execFileSync('mkfifo', ['--mode=0600', fifo]);
  return { fifo, file: join(folder.path, 'file'), [Symbol.asyncDispose]: () => folder.remove() };
}

test('a file is read whole, also by a link, and one of /proc', async () => {
  await using scratch = await setUp();
  const text = 'a=ü\n'.repeat(50_000);
  await writeFile(scratch.file, text);
  await symlink(scratch.file, `${scratch.file}.link`);
  expect(await readRegularFile(`${scratch.file}.link`)).toBe(text);
  expect(await readRegularFile('/proc/self/status')).toContain('Pid:');
});

test('a pipe, a folder and a device are refused by their names, and not waited for', async () => {
  await using scratch = await setUp();
  for (const path of [scratch.fifo, '/', '/dev/zero'])
    await expect(readRegularFile(path)).rejects.toThrow(`${path} is not a regular file`);
});

test('a file is read up to a bound', async () => {
  await using scratch = await setUp();
  await writeFile(scratch.file, 'four');
  expect(await readRegularFile(scratch.file, { maxBytes: 4 })).toBe('four');
  await expect(readRegularFile(scratch.file, { maxBytes: 3 })).rejects.toThrow('larger than 3 bytes');
  await truncate(scratch.file, 2 ** 40); // takes no room
  await expect(readRegularFile(scratch.file)).rejects.toThrow('larger than 4194304 bytes');
  // It says that it has none.
  await expect(readRegularFile('/proc/self/status', { maxBytes: 10 })).rejects.toThrow(
    'larger than 10 bytes',
  );
});

test('a missing file has its error code', async () => {
  await expect(readRegularFile('/nonexistent')).rejects.toMatchObject({ code: 'ENOENT' });
});

const command = defineCommand({ name: 'tool', envPrefix: 'TOOL_', summary: 'does things', options: {} });

test('nothing that reads settings, secrets or certificates waits for a pipe', async () => {
  await using scratch = await setUp();
  const { fifo } = scratch;
  const why = `${fifo} is not a regular file`;
  expect(await readEnvironmentFile(fifo)).toEqual({});
  expect(await readSettings(command, fifo)).toMatchObject({ kind: 'unusable', why });
  await expect(readSecretFile(fifo)).rejects.toThrow(why);
  await expect(readTlsPair({ cert: fifo, key: fifo })).rejects.toThrow(why);
});
