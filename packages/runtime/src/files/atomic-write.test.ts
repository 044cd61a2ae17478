import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runChild } from '../processes/child.ts';
import { stageFile, sweepStaged, writeFileAtomically } from './atomic-write.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atomic-write-'));
  path = join(folder, 'file');
});

afterEach(() => rm(folder, { recursive: true }));

const importing = `import { writeFileAtomically } from ${JSON.stringify(import.meta.resolve('./atomic-write.ts'))};`;

describe('a file that is written', () => {
  it('replaces any earlier content with text or bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 5000 }),
        fc.string({ unit: 'binary' }),
        async (bytes, text) => {
          await writeFileAtomically(path, bytes, 0o600);
          expect(new Uint8Array(await readFile(path))).toEqual(bytes);
          await writeFileAtomically(path, text, 0o600);
          expect(await readFile(path, 'utf8')).toBe(text);
        },
      ),
      { numRuns: 10 },
    );
    expect(await readdir(folder)).toEqual(['file']);
  });

  it.each([0o000, 0o022, 0o777])('has exactly the mode asked for under umask %o', async umask => {
    await writeFile(path, 'old', { mode: 0o644 });
    const script = `${importing}
      process.umask(${umask});
      await writeFileAtomically(process.argv[1], 'new', 0o640);`;
    const { code, stderr } = await runChild(
      process.execPath,
      ['--input-type=module', '--eval', script, path],
      { timeoutMs: 20_000 },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect((await stat(path)).mode & 0o7777).toBe(0o640);
    expect(await readFile(path, 'utf8')).toBe('new');
  });

  it('is one of the contents, whole, when many write at once', async () => {
    const contents = Array.from({ length: 10 }, (_, index) => String(index).repeat(50_000));
    await Promise.all(contents.map(content => writeFileAtomically(path, content, 0o600)));
    expect(contents).toContain(await readFile(path, 'utf8'));
    expect(await readdir(folder)).toEqual(['file']);
  });
});

describe('a write that fails', () => {
  it('because the folder is missing, creates nothing', async () => {
    const missing = join(folder, 'missing', 'file');
    await expect(writeFileAtomically(missing, 'new', 0o600)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('because a folder has the name, leaves that folder and no other file', async () => {
    await mkdir(path);
    await expect(writeFileAtomically(path, 'new', 0o600)).rejects.toMatchObject({ code: 'EISDIR' });
    expect(await readdir(folder)).toEqual(['file']);
  });

  it('because the disk is full, leaves the old content and no other file', async () => {
    const disk = join(folder, 'disk');
    await mkdir(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    try {
      const file = join(disk, 'file');
      await writeFileAtomically(file, 'old', 0o600);
      await expect(writeFileAtomically(file, 'x'.repeat(200_000), 0o600)).rejects.toMatchObject({
        code: 'ENOSPC',
      });
      expect(await readFile(file, 'utf8')).toBe('old');
      expect(await readdir(disk)).toEqual(['file']);
      await writeFileAtomically(file, 'new', 0o600);
      expect(await readFile(file, 'utf8')).toBe('new');
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});

it('leaves one content or the other, whole, when the process is killed at any moment', async () => {
  // Large enough that a write in place would be caught half done.
  const contents = ['a', 'b'].map(letter => letter.repeat(2_000_000));
  const script = `${importing}
    const contents = ['a', 'b'].map(letter => letter.repeat(2_000_000));
    for (let i = 0; ; i += 1) {
      await writeFileAtomically(process.argv[1], contents[i % 2], 0o600);
      if (i === 0) process.stdout.write('written once');
    }`;
  for (let kill = 0; kill < 20; kill += 1) {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(child, 'close');
    await once(child.stdout, 'data');
    // Not to wait for anything: the moment itself is what is varied.
    await delay(Math.random() * 20);
    child.kill('SIGKILL');
    expect(await closed).toEqual([null, 'SIGKILL']);
    const found = await readFile(path, 'utf8');
    expect(contents.some(content => content === found)).toBe(true);
  }
}, 60_000);

describe('a file that is staged', () => {
  it('is seen once it is renamed, whole, in whatever parts it came', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.string({ unit: 'binary' }),
            fc.nat(200_000).map(length => 'é'.repeat(length)),
          ),
        ),
        async parts => {
          const staged = await stageFile(path, { parts }, 0o600);
          await staged.rename();
          expect(await readFile(path, 'utf8')).toBe(parts.map(part => part.toWellFormed()).join(''));
        },
      ),
      { numRuns: 20 },
    );
    expect(await readdir(folder)).toEqual(['file']);
  });

  it('leaves nothing when it is discarded, and what a killed process staged is swept', async () => {
    await (await stageFile(path, 'new', 0o600)).discard();
    expect(await readdir(folder)).toEqual([]);
    await stageFile(path, 'new', 0o600);
    await writeFile(join(folder, '.file.other.tmp'), 'not ours');
    await sweepStaged(path);
    expect(await readdir(folder)).toEqual(['.file.other.tmp']);
    await sweepStaged(join(folder, 'no/such/folder/file'));
  });
});
