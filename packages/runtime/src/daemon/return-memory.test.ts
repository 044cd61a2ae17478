import { describe, expect, it } from 'vitest';
import { runChild } from '../processes/child.ts';
import { cleanRanges } from './return-memory.ts';

const module = JSON.stringify(import.meta.resolve('./return-memory.ts'));
const run = (script: string, ...flags: string[]) =>
  runChild(process.execPath, [...flags, '--input-type=module', '--eval', script], { timeoutMs: 20_000 });

describe('returning memory', () => {
  it('frees garbage and unused pages of the program, and the program goes on', async () => {
    const script = `
      import { loadReturnMemory } from ${module};
      import { createServer } from 'node:http2';
      let kept = Array.from({ length: 300_000 }, (_, n) => ({ n }));
      kept = kept.slice(0, 10);
      const { everything: returnMemory } = loadReturnMemory();
      const before = process.memoryUsage.rss();
      returnMemory();
      const after = process.memoryUsage.rss();
      for (let times = 0; times < 5; times += 1) returnMemory();
      const server = createServer().listen(0, () => server.close(() =>
        console.log(JSON.stringify({ mb: (before - after) / 1e6, sum: kept.reduce((sum, { n }) => sum + n, 0) }))));`;
    const { code, stdout, stderr } = await run(script);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { mb, sum } = JSON.parse(stdout) as { mb: number; sum: number };
    expect(sum).toBe(45);
    expect(mb).toBeGreaterThan(10);
  });

  it('is not there where C cannot be called', async () => {
    const script = `import { loadReturnMemory } from ${module}; console.log(loadReturnMemory());`;
    expect(await run(script, '--no-experimental-ffi')).toMatchObject({ code: 0, stdout: 'undefined\n' });
  });
});

describe('what of a program may be dropped', () => {
  const mapping = (range: string, mode: string, offset: string, path: string, anonymousKb: number) =>
    [
      `${range} ${mode} ${offset} fe:00 1047                   ${path}`,
      'Rss:                4000 kB',
      `Anonymous:        ${String(anonymousKb).padStart(7)} kB`,
      'VmFlags: rd mr mw me\n',
    ].join('\n');
  const found = (...mappings: string[]) => cleanRanges(mappings.join(''), '/opt/node');

  it('is its code and its constants', () => {
    expect(
      found(
        mapping('00400000-00500000', 'r--p', '00001000', '/opt/node', 0),
        mapping('00500000-00900000', 'r-xp', '00101000', '/opt/node', 0),
      ),
    ).toEqual([
      { start: 0x400000n, bytes: 0x100000n },
      { start: 0x500000n, bytes: 0x400000n },
    ]);
  });

  it('is nothing that has a page of its own, can be written, is another file, or is mapped a second time', () => {
    const kept = mapping('00400000-00500000', 'r-xp', '00001000', '/opt/node', 0);
    expect(
      found(
        kept,
        mapping('00500000-00600000', 'r--p', '00101000', '/opt/node', 4),
        mapping('00600000-00700000', 'rw-p', '00201000', '/opt/node', 0),
        mapping('7f0000000000-7f0000001000', 'r-xp', '00002000', '/opt/node', 0),
        mapping('7f0000001000-7f0000002000', 'r-xp', '00000000', '/lib/libc.so.6', 0),
        mapping('7f0000002000-7f0000003000', 'r--p', '00000000', '', 0),
      ),
    ).toEqual(found(kept));
    expect(found(kept)).toHaveLength(1);
  });
});
