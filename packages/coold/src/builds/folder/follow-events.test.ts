import { appendFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import { followEvents } from './follow-events.ts';

const never = new AbortController().signal;

async function read(events: AsyncGenerator<Buffer>, text: string): Promise<string> {
  let got = '';
  while (!got.includes(text)) {
    const { value, done } = await events.next();
    if (done === true) break;
    got += value.toString();
  }
  return got;
}

describe('the progress of a build', () => {
  it('is read from its first line to its last, while it is written', async () => {
    await using folder = await scratchFolder();
    const file = join(folder.path, 'events.ndjson');
    const ended = Promise.withResolvers<void>();
    const events = followEvents(folder.path, ended.promise, never);
    const first = read(events, 'one');
    await writeFile(file, '{"one":1}\n');
    expect(await first).toBe('{"one":1}\n');
    const second = read(events, 'three');
    await appendFile(file, '{"two":2}\n{"three"');
    await appendFile(file, ':3}\n');
    expect(await second).toBe('{"two":2}\n{"three":3}\n');
    await appendFile(file, '{"last":1}\n{"half":');
    ended.resolve();
    expect(await read(events, 'never')).toBe('{"last":1}\n');
  });

  it('leaves out a line that is taken back for want of room', async () => {
    await using folder = await scratchFolder();
    const file = join(folder.path, 'events.ndjson');
    await writeFile(file, '{"one":1}\n{"half');
    const ended = Promise.withResolvers<void>();
    const events = followEvents(folder.path, ended.promise, never);
    expect(await read(events, 'one')).toBe('{"one":1}\n');
    await truncate(file, 10);
    await appendFile(file, '{"two":2}\n');
    ended.resolve();
    expect(await read(events, 'never')).toBe('{"two":2}\n');
  });

  it('of much is read in parts, whole', async () => {
    await using folder = await scratchFolder();
    const text = Array.from({ length: 50_000 }, (_, n) => `{"line":${n}}\n`).join('');
    await writeFile(join(folder.path, 'events.ndjson'), text);
    expect(await read(followEvents(folder.path, Promise.resolve(), never), 'never')).toBe(text);
  });

  it('of a build without any ends with it, and with its reader', async () => {
    await using folder = await scratchFolder();
    expect(await read(followEvents(folder.path, Promise.resolve(), never), 'never')).toBe('');
    const reader = new AbortController();
    const waiting = followEvents(folder.path, new Promise(() => {}), reader.signal).next();
    reader.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
  });
});
