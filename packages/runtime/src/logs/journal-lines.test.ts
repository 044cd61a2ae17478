import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lastJournalLines, readableLine } from './journal-lines.ts';

it.each([
  ['{"level":"error","time":"2030-01-01T00:00:00Z","msg":"gone"}', '2030-01-01T00:00:00Z  error  gone'],
  [
    '{"level":"warn","time":"2030-01-01T00:00:00Z","msg":"not dialled","reason":"/jwt is empty"}',
    '2030-01-01T00:00:00Z  warn  not dialled: /jwt is empty',
  ],
  ['coold.service: Main process exited', 'coold.service: Main process exited'],
  ['{"other":1}', '{"other":1}'],
  ['null', 'null'],
])('%s reads %s', (line, readable) => {
  expect(readableLine(line)).toBe(readable);
});

it('asks the journal for the unit, and has nothing to tell where that fails', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'journal-'));
  const path = process.env['PATH'];
  // A journal of systemd's own needs a booted host; this stands in for its reader.
  const program = join(folder, 'journalctl');
  const answerWith = async (script: string) => {
    await writeFile(program, `#!/bin/sh\n${script}\n`);
    await chmod(program, 0o755);
  };
  process.env['PATH'] = `${folder}:${path}`;
  try {
    await answerWith('echo "$@"; echo');
    expect(await lastJournalLines('coold.service')).toEqual([
      '--unit coold.service --lines 20 --output cat --no-pager --quiet',
    ]);
    // A program that systemd starts over and over: what it says itself is older than five lines.
    const failure = '{"level":"error","time":"2030-01-01T00:00:00Z","msg":"no key"}';
    const noise = [
      'exited',
      "Failed with result 'exit-code'",
      'Failed to start',
      'Scheduled',
      'Stopped',
      'Starting',
    ];
    const say = async (...lines: string[]) => {
      await writeFile(join(folder, 'lines'), lines.map(line => `${line}\n`).join(''));
      await answerWith(`cat ${join(folder, 'lines')}`);
      return await lastJournalLines('coold.service');
    };
    expect(await say('older', failure, ...noise)).toEqual([
      '2030-01-01T00:00:00Z  error  no key',
      ...noise.slice(-5),
    ]);
    expect(await say('coold: COOLD_API_BIND="x": expected an address', ...noise)).toEqual([
      'coold: COOLD_API_BIND="x": expected an address',
      ...noise.slice(-5),
    ]);
    expect(await say(failure, ...noise.slice(-4))).toEqual([
      '2030-01-01T00:00:00Z  error  no key',
      ...noise.slice(-4),
    ]);
    const stopped = ['coold.service: Deactivated successfully.', ...noise];
    expect(await say(failure, ...stopped)).toEqual(noise.slice(-5));
    await answerWith('echo wrong; exit 1');
    expect(await lastJournalLines('coold.service')).toEqual([]);
  } finally {
    process.env['PATH'] = path;
    await rm(folder, { recursive: true });
  }
});
