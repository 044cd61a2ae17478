import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEnvironmentFile, readEnvironmentFile } from './environment-file.ts';

describe('an environment file', () => {
  it.each([
    ['', {}],
    ['A=1\nB=2', { A: '1', B: '2' }],
    ['A=1\r\nB=2\r\n', { A: '1', B: '2' }],
    ['A=1\nA=2\n', { A: '2' }],
    ['A=\n', { A: '' }],
    ['  A  =  a b  \t\n', { A: 'a b' }],
    ['# A=1\n; B=2\n  # C=3\nD=4 # not a comment\n', { D: '4 # not a comment' }],
    ['# a comment that goes on \\\nA=1\n', { A: '1' }],
    ['no assignment\nA=1\n', { A: '1' }],
    ['A=x=y\n', { A: 'x=y' }],
    ['A="a b"\nB=\'c d\'\n', { A: 'a b', B: 'c d' }],
    ['A="one\ntwo"\nB=\'three\nfour\'\n', { A: 'one\ntwo', B: 'three\nfour' }],
    ['A="a\\"b\\\\c\\$d\\`e\\nf"\n', { A: 'a"b\\c$d`e\\nf' }],
    ["A='a\\nb'\n", { A: 'a\\nb' }],
    ['A="one \\\ntwo"\n', { A: 'one two' }],
    ['A=one \\\ntwo\n', { A: 'one two' }],
    ['A=a\\ b\\ \n', { A: 'a b ' }],
    ['A=a\\nb\\\\c\n', { A: 'anb\\c' }],
    ['A="a" \'b\' c\n', { A: 'abc' }],
    ['A=a"b"\n', { A: 'a"b"' }],
    ['A="open', { A: 'open' }],
    ['1A=1\nA-B=2\n=3\nexport C=4\nD=5\n', { D: '5' }],
  ])('%j says %j', (text, said) => {
    expect(parseEnvironmentFile(text)).toEqual(said);
  });

  it('gives back what was quoted into it', () => {
    const value = fc.string({ unit: fc.constantFrom(...'a \'"\\$`\n\t#;=') });
    fc.assert(
      fc.property(value, it => {
        const quoted = it.replaceAll(/["\\`$]/g, found => `\\${found}`);
        expect(parseEnvironmentFile(`A="${quoted}"\nB=1\n`)).toEqual({ A: it, B: '1' });
      }),
    );
  });

  it('ends for any text', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'A= \'"\\\n\r#') }), parses));
    function parses(text: string) {
      for (const value of Object.values(parseEnvironmentFile(text)))
        expect(value).toEqual(expect.any(String));
    }
  });

  it('that cannot be read says nothing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'environment-'));
    try {
      const path = join(folder, 'program.env');
      expect(await readEnvironmentFile(path)).toEqual({});
      await writeFile(path, 'A=1\n');
      expect(await readEnvironmentFile(path)).toEqual({ A: '1' });
      expect(await readEnvironmentFile(folder)).toEqual({});
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
