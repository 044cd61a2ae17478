import { runChild } from '@coold/runtime';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkGitRef, searchFor } from './git-ref.ts';
import { RequestError } from './request-error.ts';

describe('a ref', () => {
  it.each([
    'main',
    'feature/x-1',
    'v1.2.3',
    'HEAD',
    'refs/pull/5/head',
    'a'.repeat(40),
    'deadbee',
    'ä',
    'a@b',
  ])('may be %s', ref => {
    expect(checkGitRef(ref, 'git_ref')).toBe(ref);
  });

  it.each(
    [
      ...[
        '',
        '-b',
        '--upload-pack=id',
        '-',
        'a b',
        'a\n',
        'a\0',
        'a..b',
        'a~1',
        'a^',
        'a:b',
        '+a',
        'a*',
        'a[b',
        'a\\b',
      ],
      ...[
        'a?',
        '@',
        'a@{1}',
        '/a',
        'a/',
        'a//b',
        '.a',
        'a/.b',
        'a.',
        'a.lock',
        'a.lock/b',
        'a\x7f',
        'x'.repeat(256),
      ],
    ].filter(ref => ref !== '+a'),
  )('may not be %j', ref => {
    expect(() => checkGitRef(ref, 'git_ref')).toThrow(expect.objectContaining({ field: 'git_ref' }));
  });

  it('accepts exactly the names that git accepts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom(...'ab./-@{}~^:?*[\\ \n\t+\u00e4'), minLength: 1, maxLength: 8 }),
        async text => {
          let taken = true;
          try {
            checkGitRef(text, 'git_ref');
          } catch (error) {
            expect(error).toBeInstanceOf(RequestError);
            taken = false;
          }
          const ours = await runChild('git', ['check-ref-format', `refs/heads/${text}`], {
            timeoutMs: 20_000,
          });
          // git leaves it to its commands to refuse a dash and a lone @.
          expect(taken).toBe(ours.code === 0 && !text.startsWith('-') && text !== '@');
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  it('is looked for as a branch, then as a tag, then as a commit', () => {
    expect(searchFor('v1')).toEqual({ refspecs: ['refs/heads/v1', 'refs/tags/v1'] });
    expect(searchFor('DEADbee')).toEqual({
      refspecs: ['refs/heads/DEADbee', 'refs/tags/DEADbee'],
      commit: 'deadbee',
    });
    expect(searchFor('refs/tags/v1')).toEqual({ refspecs: ['refs/tags/v1'] });
    expect(searchFor('HEAD')).toEqual({ refspecs: ['HEAD'] });
    expect(searchFor('a'.repeat(40))).toEqual({ refspecs: ['a'.repeat(40)], commit: 'a'.repeat(40) });
  });
});
