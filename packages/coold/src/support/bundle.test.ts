import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import { collectParts, maxPartBytes, withoutCutEnd } from './bundle.ts';
import { journalTail } from './journal-tail.ts';
import { readKnownSecrets, registrySecrets } from './known-secrets.ts';
import { createRedactor } from './redact.ts';
import { hiddenInUnit, showUnit } from './show-unit.ts';
import { tar } from './tar.ts';

const never = new AbortController().signal;
const text = (name: string, read: () => Promise<string>) => ({
  name,
  read: async () => ({ kind: 'text' as const, text: await read() }),
});

it('is unpacked by tar, for its owner alone', async () => {
  await using folder = await scratchFolder();
  const files = [
    { name: 'b/empty', content: Buffer.alloc(0) },
    { name: 'b/exact', content: Buffer.alloc(512, 'x') },
    { name: 'b/text.txt', content: Buffer.from('zwölf\n') },
  ];
  const path = join(folder.path, 'b.tar');
  await writeFile(path, tar(files, new Date('2026-11-30T12:00:00Z')));
  const { stdout, stderr } = await runChild('tar', ['--utc', '-tvf', path], { timeoutMs: 5000 });
  expect(stderr).toBe('');
  expect(
    stdout
      .trim()
      .split('\n')
      .map(line => line.replaceAll(/ +/g, ' ')),
  ).toEqual([
    '-rw------- root/root 0 2026-11-30 12:00 b/empty',
    '-rw------- root/root 512 2026-11-30 12:00 b/exact',
    '-rw------- root/root 7 2026-11-30 12:00 b/text.txt',
  ]);
  const out = await runChild('tar', ['-xOf', path, 'b/text.txt'], { timeoutMs: 5000 });
  expect(out.stdout).toBe('zwölf\n');
  expect(() => tar([{ name: 'x'.repeat(101), content: Buffer.alloc(0) }], new Date())).toThrow('too long');
});

it.each([
  ['in a line', 'first\ntoken of 20 charac', 'first'],
  ['in a line of a megabyte', `first\n${'x'.repeat(1 << 20)}`, `first\n${'x'.repeat((1 << 20) - (1 << 16))}`],
  ['in the only line', 'half of a secr', ''],
])('a tool whose output was cut %s loses what may be half of a secret', (_where, output, kept) => {
  expect(withoutCutEnd(output)).toBe(`${kept}\n(the rest is left out)\n`);
});

describe('the parts', () => {
  it('that cannot be read in time are listed, and do not delay the others', async () => {
    const files = await collectParts(
      [
        text('fails', () => Promise.reject(new Error('refused, password=planted1'))),
        text('hangs', () => new Promise(() => {})),
        text('well', async () => 'token=planted2'),
        { name: 'json', read: async () => ({ kind: 'json' as const, value: { secret: 'planted3', n: 5n } }) },
      ],
      createRedactor([]),
      50,
    );
    expect(Object.fromEntries(files.map(({ name, content }) => [name, content.toString()]))).toEqual({
      well: 'token=<redacted>',
      json: '{\n  "secret": "<redacted>",\n  "n": 5\n}\n',
      'MISSING.txt': 'fails: refused, password=<redacted>\nhangs: no answer within 50 ms\n',
    });
  });

  it('are bounded', async () => {
    const [file] = await collectParts(
      [text('long', async () => 'a\n'.repeat(maxPartBytes))],
      createRedactor([]),
    );
    expect(file?.content.length).toBeLessThan(maxPartBytes + 100);
    expect(file?.content.toString('utf8', maxPartBytes)).toContain('the rest is left out');
  });
});

describe('the journal', () => {
  /** One of gigabytes is more than a test can make: this plays a journalctl that has more to say than is kept. */
  async function play(folder: string, lines: number): Promise<string> {
    const program = join(folder, 'journalctl');
    const script = `#!/bin/sh\necho "$@" >'${folder}/args'\nexec seq -f 'line %.0f of the journal' ${lines} -1 1\n`;
    await writeFile(program, script, { mode: 0o755 });
    return program;
  }

  it('is read from its end, and of what is too much the newest stays', async () => {
    await using folder = await scratchFolder();
    const program = await play(folder.path, 1_000_000);
    const tail = await journalTail(['--unit', 'x'], { lines: 5000, bytes: 1000 }, never, program);
    const told = tail.text.trimEnd().split('\n');
    expect(tail.truncated).toBe(true);
    expect(told.at(-1)).toBe('line 1000000 of the journal');
    expect(told[0]).toMatch(/^line \d+ of the journal$/);
    expect(tail.text.length).toBeLessThanOrEqual(1000);
    const { stdout } = await runChild('cat', [join(folder.path, 'args')], { timeoutMs: 5000 });
    expect(stdout).toContain('--reverse --lines 5000 ');
  });

  it('has the lines of one record in their order', async () => {
    await using folder = await scratchFolder();
    const program = join(folder.path, 'journalctl');
    const newestFirst = ['T3 h p: third', 'T2 h p: begin', '        middle', '        end', 'T1 h p: first'];
    await writeFile(program, `#!/bin/sh\ncat <<'END'\n${newestFirst.join('\n')}\nEND\n`, { mode: 0o755 });
    const tail = (bytes: number) => journalTail([], { lines: 10, bytes }, never, program);
    const { text: whole } = await tail(1000);
    expect(whole).toBe('T1 h p: first\nT2 h p: begin\n        middle\n        end\nT3 h p: third\n');
    // A record that is cut is left out: a key without its end, say, is none that is found.
    expect(await tail(45)).toEqual({ text: 'T3 h p: third\n', truncated: true });
  });

  it('is whole where there is little', async () => {
    await using folder = await scratchFolder();
    const program = await play(folder.path, 2);
    const tail = await journalTail([], { lines: 10, bytes: 1000 }, never, program);
    expect(tail).toEqual({ text: 'line 1 of the journal\nline 2 of the journal\n', truncated: false });
  });
});

describe('a unit', () => {
  const unit = [
    '[Service]',
    'Environment=COOLD_BUILDER_BIN=/usr/local/bin/builder "PLANTED_KEY=pl4nted one" \\',
    "  OTHER='pl4nted-two'",
    'EnvironmentFile=-/etc/coolify/coold.env',
    'SetCredential=db:pl4nted-three',
    'ExecStart=/usr/local/bin/coold',
  ].join('\n');

  it('is shown without what its variables are', () => {
    expect(showUnit(unit)).toBe(
      [
        '[Service]',
        'Environment=COOLD_BUILDER_BIN=<redacted> PLANTED_KEY=<redacted> OTHER=<redacted>',
        'EnvironmentFile=-/etc/coolify/coold.env',
        'SetCredential=<redacted>',
        'ExecStart=/usr/local/bin/coold',
      ].join('\n'),
    );
  });

  it('lists what was left out', () => {
    const hidden = hiddenInUnit(unit).join(' ');
    expect(hidden).toContain('pl4nted-two');
    expect(hidden).toContain('pl4nted-three');
    expect(hidden).not.toContain('/usr/local');
  });
});

describe('the secrets that are known', () => {
  it('are those of files, of hidden values, and of variables of containers whose names suggest a secret', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'token');
    await writeFile(path, 'of-a-file\n');
    await writeFile(join(folder.path, 'wg1.conf'), '[Interface]\nPrivateKey = of-wg1\n');
    const known = await readKnownSecrets({
      files: [path, '/nowhere'],
      hidden: ['of-settings'],
      assignments: [
        ...['DB_PASSWORD=of=env', 'MODE=production', 'nonsense'],
        'DATABASE_URL=postgres://user:of%2Fa-url@db/shop',
      ],
      wireguardFolder: folder.path,
    });
    expect(known).toEqual(
      expect.arrayContaining(['of-a-file\n', 'of-settings', 'of=env', 'of%2Fa-url', 'of/a-url', 'of-wg1']),
    );
    expect(known).not.toContain('production');
  });

  it('and what podman login keeps', () => {
    const auth = Buffer.from('user:pa:ss').toString('base64');
    expect(registrySecrets(`{"auths":{"registry":{"auth":"${auth}"}}}`)).toEqual([auth, 'pa:ss']);
    expect(registrySecrets('{"auths":{"r":{"username":"user","password":"pa:ss"}}}')).toEqual(['pa:ss']);
  });
});
