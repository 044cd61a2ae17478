// The journal's own reader needs a booted host (the install scenario has one); a program in its place shows what is asked of it
// and how its faults are told.
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createOwnJournal, JournalError } from './own-journal.ts';

let folder: Awaited<ReturnType<typeof scratchFolder>>;
beforeEach(async () => {
  folder = await scratchFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

async function journalOf(script: string) {
  const program = join(folder.path, 'journalctl');
  await writeFile(program, `#!/bin/sh\n${script}\n`);
  await chmod(program, 0o755);
  return createOwnJournal(program);
}
const never = new AbortController().signal;

it('asks for the last lines of its own unit as they were written', async () => {
  const journal = await journalOf('echo "$@"');
  expect(await journal.last(7, 1000, never)).toEqual({
    text: '--unit coold.service --output cat --no-pager --quiet --lines 7\n',
    truncated: false,
  });
});

it('cuts what is too long at the end of a line', async () => {
  const journal = await journalOf('printf "first\\nsecond\\n"');
  expect(await journal.last(7, 9, never)).toEqual({ text: 'first\n', truncated: true });
});

it('says what the reader says when it fails', async () => {
  const journal = await journalOf('echo "no such journal" >&2; exit 1');
  await expect(journal.last(7, 1000, never)).rejects.toThrow(JournalError);
  await expect(journal.last(7, 1000, never)).rejects.toThrow('no such journal');
  const read = async () => await Array.fromAsync(journal.read({ lines: 7, follow: false }, never));
  await expect(read()).rejects.toThrow('no such journal');
  const none = createOwnJournal(join(folder.path, 'nosuch'));
  await expect(none.last(7, 1000, never)).rejects.toThrow(JournalError);
});

it('continues with new lines until its caller leaves, and leaves no program behind', async () => {
  const pid = join(folder.path, 'pid');
  const journal = await journalOf(`echo $$ > ${pid}; echo "$@"; exec sleep 1000`);
  const caller = new AbortController();
  const chunks: string[] = [];
  for await (const chunk of journal.read({ lines: 2, follow: true }, caller.signal)) {
    chunks.push(chunk.toString());
    caller.abort();
  }
  expect(chunks).toEqual(['--unit coold.service --output cat --no-pager --quiet --lines 2 --follow\n']);
  const program = Number(await readFile(pid, 'utf8'));
  await expect.poll(() => isThere(program)).toBe(false);
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
