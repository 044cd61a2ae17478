import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { scratchFolder } from '@coold/testbed';
import { expect, test } from 'vitest';
import { isWanted, trimUnicodeTables } from './unicode-tables.ts';

test.each([
  ['root.res', true],
  ['coll/root.res', true],
  ['zone/en.res', true],
  ['en_US.res', true],
  ['zoneinfo64.res', true],
  ['supplementalData.res', true],
  ['pool.res', true],
  ['nfkc.nrm', true],
  ['brkitr/char.brk', true],
  ['de.res', false],
  ['coll/zh.res', false],
  ['zu_ZA.res', false],
  ['en_GB.res', false],
  ['yue_Hans.res', false],
  ['translit/root.res', false],
  ['brkitr/thaidict.dict', false],
  ['ibm-943_P15A-2003.cnv', false],
])('of the tables, %s stays: %s', (path, stays) => expect(isWanted(path)).toBe(stays));

/** What the programs use of the language, and what they could come to use: none of it may end the process. */
const script = `
  const all = [
    'ä'.normalize('NFD').length, /\\p{Lu}/u.test('Ä'), 'ß'.toUpperCase(), ['b', 'ä', 'a'].toSorted((a, b) => a.localeCompare(b)).join(''),
    new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from('é')), new URL('http://ä.de/').host,
    new Date(0).toISOString(), new Date(0).getHours(), new Date(0).toUTCString(),
  ];
  const others = [
    new Date(0).toLocaleString(), (1234.5).toLocaleString('de'), new Intl.DateTimeFormat('ja', { dateStyle: 'full' }).format(0),
    [...new Intl.Segmenter('th').segment('สวัสดี')].length, new Intl.PluralRules('ar').select(2), new Intl.Collator('sv').compare('ö', 'z'),
    new Intl.DisplayNames('fr', { type: 'region' }).of('DE'), new Intl.ListFormat('de').format(['a', 'b']), 'I'.toLocaleLowerCase('tr'),
  ];
  process.stdout.write(JSON.stringify({ all, others: others.length }));`;

test('a Node without them answers as before what the programs ask, in every locale', async () => {
  await using folder = await scratchFolder();
  const node = join(folder.path, 'node');
  const program = await readFile(process.execPath);
  const { kept, removed } = trimUnicodeTables(program);
  expect(removed).toBeGreaterThan(25e6);
  expect(kept).toBeLessThan(8e6);
  await writeFile(node, program, { mode: 0o755 });
  const run = async (path: string, locale: string) => {
    const env = { LC_ALL: locale, TZ: 'Europe/Berlin' };
    return JSON.parse((await promisify(execFile)(path, ['-e', script], { env })).stdout) as unknown;
  };
  const whole = await run(process.execPath, 'C');
  expect(whole).toEqual({
    all: [
      2,
      true,
      'SS',
      'aäb',
      'é',
      'xn--4ca.de',
      '1970-01-01T00:00:00.000Z',
      1,
      'Thu, 01 Jan 1970 00:00:00 GMT',
    ],
    others: 9,
  });
  for (const locale of ['C', 'de_DE.UTF-8', 'ar_EG.UTF-8', 'zh_CN.UTF-8'])
    expect(await run(node, locale), locale).toEqual(whole);
}, 60_000);

test('what has no such tables is refused', () => {
  expect(() => trimUnicodeTables(Buffer.from('no program'))).toThrow('Node has 0 sets of Unicode');
});
