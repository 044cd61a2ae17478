import { describe, expect, it } from 'vitest';
import { mapFolders, readCodeMap } from './code-map.ts';

const files = [
  'README.md',
  'packages/a/package.json',
  'packages/a/src/main.ts',
  'packages/a/src/part/one.ts',
];
const text = '# purposes\npackages/a: does a\npackages/a/src/part: a part of it\n';

describe('the code map', () => {
  it('has a purpose for every folder of this repository', () => {
    const { folders, problems } = readCodeMap();
    expect(problems).toEqual([]);
    expect(folders.map(({ folder }) => folder)).toContain('packages/coold/src/firewall');
  });

  it('joins folders and purposes, and counts a src as its package', () => {
    expect(mapFolders(files, text)).toEqual({
      folders: [
        { folder: 'packages/a', purpose: 'does a' },
        { folder: 'packages/a/src/part', purpose: 'a part of it' },
      ],
      problems: [],
    });
  });

  it.each([
    ['a new folder', [...files, 'packages/b/package.json'], text, /^packages\/b: has no purpose: add a line/],
    ['a purpose of no folder', files, `${text}gone: was here\n`, /^folders\.txt: gone does not exist/],
    ['a second purpose', files, `${text}packages/a: again\n`, /^folders\.txt:4: packages\/a has a purpose/],
    ['a line without a purpose', files, `${text}packages/b\n`, /^folders\.txt:4: expected "folder: purpose"/],
  ])('names %s as a problem', (_, tree, purposes, problem) => {
    const { problems } = mapFolders(tree, purposes);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });
});
