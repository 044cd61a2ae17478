// Checks that everything cited in comments and pages exists: sections of the contract, pages, flows.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { headingsOf } from './markdown.ts';
import { listFiles, root } from './tree.ts';

const files = listFiles();
/** Pages that `npm run e2e` writes. A checkout need not have them. */
const written = ['docs/packets.md'];
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The files that are searched for citations: source and pages, without this file and without generated ones. */
const citing = files
  .filter(file => /\.(?:ts|mjs|proto|sh|sql|service|php|md|json|txt)$/.test(file))
  .filter(file => !/(?:^|\/)package-lock\.json$|\/citations\.test\.ts$/.test(file))
  .map(file => ({ file, text: onOneLine(read(file)) }));

/** Joins the lines, because a citation may continue on the next line of a comment. */
function onOneLine(text: string): string {
  return text.replaceAll(/\n\s*(?:\*|\/\/|#)? */g, ' ');
}

/** Returns `file: citation` for every match of `pattern` that `stands` rejects. */
function missing(pattern: RegExp, stands: (found: RegExpMatchArray) => boolean): string[] {
  return citing.flatMap(({ file, text }) =>
    [...text.matchAll(pattern)].filter(found => !stands(found)).map(found => `${file}: ${found[0]}`),
  );
}

describe('everything cited is in the repository', () => {
  it('every section of the contract', () => {
    const sections = headingsOf(read('docs/contract.md')).flatMap(
      heading => /^(\d+)\. /.exec(heading)?.[1] ?? [],
    );
    expect(sections).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
    const cited = /docs\/contract\.md(?:`|\))? §(\d+)((?:, §\d+)*)/g;
    expect(citing.flatMap(({ text }) => [...text.matchAll(cited)]).length).toBeGreaterThan(100);
    const numbers = ([, first = '', others = '']: RegExpMatchArray) => [
      first,
      ...[...others.matchAll(/\d+/g)].map(([number]) => number),
    ];
    expect(missing(cited, found => numbers(found).every(number => sections.includes(number)))).toEqual([]);
  });

  it('every citation of a section names its page', () => {
    const bare = /(?<!docs\/contract\.md |§\d+, |RFC \d+ )§\d+(?!\d|\]\(contract\.md).{0,40}/g;
    const pages = missing(bare, () => false).filter(line => !/^[\w/-]+\.md: /.test(line));
    expect(pages).toEqual([]);
  });

  it('every page and dashboard in docs/', () => {
    expect(
      missing(/\bdocs\/[a-z0-9/-]+\.(?:md|json)\b/g, ([path]) => [...files, ...written].includes(path)),
    ).toEqual([]);
  });

  it('every flow of the architecture', () => {
    const flows = headingsOf(read('docs/architecture.md')).map(heading => heading.toLowerCase());
    const cited = /docs\/architecture\.md, (the [a-z]+ flow)/g;
    expect(missing(cited, ([, flow = '']) => flows.includes(flow))).toEqual([]);
  });

  it('no citation of a text outside the repository', () => {
    expect(missing(/\b[Mm]ission\b|\bCONTRACT\.md|\bDESIGN\.md/g, () => false)).toEqual([]);
  });
});
