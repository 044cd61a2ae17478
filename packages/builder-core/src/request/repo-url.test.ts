import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRepoUrl } from './repo-url.ts';
import { RequestError } from './request-error.ts';

const refused = expect.objectContaining({ field: 'repo_url' });

describe('a repository', () => {
  it.each([
    ['https://github.com/a/b.git', 'https', 'https://github.com/a/b.git'],
    ['HTTPS://github.com:8443/a/b', 'https', 'https://github.com:8443/a/b'],
    ['ssh://git@host.example:2222/a/b.git', 'ssh', 'ssh://git@host.example:2222/a/b.git'],
    ['git@github.com:a/b.git', 'ssh', 'git@github.com:a/b.git'],
    ['host:repo', 'ssh', 'host:repo'],
    ['git://10.0.0.1:9418/x', 'git', 'git://10.0.0.1:9418/x'],
    ['https://[2001:db8::1]/x', 'https', 'https://[2001:db8::1]/x'],
  ])('may be %s', (text, protocol, url) => {
    expect(readRepoUrl(text, 'repo_url')).toEqual({ protocol, url });
  });

  it('does not keep its password in the URL for git', () => {
    expect(readRepoUrl('https://me:p%40ss@host/a.git', 'repo_url')).toEqual({
      protocol: 'https',
      url: 'https://host/a.git',
      credentials: { username: 'me', password: 'p@ss' },
    });
    expect(readRepoUrl('https://token@host/a.git', 'repo_url').credentials).toEqual({
      username: 'token',
      password: '',
    });
  });

  it.each([
    ...[
      '',
      'ext::sh -c id',
      'ext::sh',
      'fd::17',
      'foo::bar',
      '--upload-pack=id',
      '-u',
      '--',
      '-oProxyCommand=id:x',
    ],
    ...[
      'http://host/x',
      'ftp://host/x',
      'file:///etc',
      '/srv/git/x',
      '../x',
      './x',
      'x',
      'https:host',
      'https://',
    ],
    ...['ssh://-oProxyCommand=id/x', 'ssh://-x@host/x', 'git@-host:x', 'host:-x', 'host:/', '[::1]:x'],
    ...[
      'https://host',
      'https://host/',
      'https://host/-x',
      'https://host/a b',
      'https://host/a\nb',
      'https://host/a\0',
    ],
    ...[
      'https://host/x?y',
      'https://host/x#y',
      'https://a:%0a@host/x',
      'https://a:%ff@host/x',
      'https://host/ä',
    ],
    ...[
      'ssh://git:secret@host/x',
      'git://me@host/x',
      'https://host:99999/x',
      'https://host/\\x',
      "https://host/'x",
    ],
    ...[`https://host/${'a'.repeat(2048)}`],
  ])('may not be %j', text => {
    expect(() => readRepoUrl(text, 'repo_url')).toThrow(refused);
  });

  it('on the disk is for those who ask for it', () => {
    expect(readRepoUrl('file:///srv/x', 'repo_url', true)).toEqual({
      protocol: 'file',
      url: 'file:///srv/x',
    });
  });

  it('is never an option, a helper, a path or two lines, for any text', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .tuple(fc.constantFrom('https://', 'ssh://', 'git://', 'ext::', 'a@b:', '-'), fc.string())
        .map(p => p.join('')),
      fc.webUrl({ validSchemes: ['https', 'ssh', 'git', 'http', 'ext'], withFragments: true }),
    );
    fc.assert(
      fc.property(text, value => {
        try {
          const { url, protocol } = readRepoUrl(value, 'repo_url');
          expect(url).toMatch(protocol === 'ssh' ? /^(ssh:\/\/)?[A-Za-z0-9_[]/ : /^(https|git):\/\/[^-]/);
          expect(url).not.toMatch(/^[^/@]*::|\s|^-|^ext:|^https:.*:.*@/);
        } catch (error) {
          expect(error).toBeInstanceOf(RequestError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
