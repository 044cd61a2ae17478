import { once } from 'node:events';
import { access, lstat, mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import {
  createRepository,
  freePort,
  type GitDaemon,
  type GitHttps,
  type GitRepository,
  scratchFolder,
  startGitDaemon,
  startGitHttps,
} from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuildFailure } from '../build-failure.ts';
import { createTracker } from '../progress.ts';
import { readRepoUrl } from '../request/repo-url.ts';
import { makeScratch, type Scratch } from '../scratch.ts';
import { toolEnvironment } from '../tools/tool-environment.ts';
import { checkOut } from './git.ts';

let stack: AsyncDisposableStack;
let folder: string;
let daemon: GitDaemon;
/** Speaks the old protocol only. */
let old: GitHttps;
let asking: GitHttps;
let site: GitRepository;
let commits: { first: string; second: string; inner: string; third: string; side: string };
let count = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  folder = stack.use(await scratchFolder()).path;
  const repositories = join(folder, 'git');
  daemon = stack.use(await startGitDaemon({ folder: repositories, port: await freePort() }));
  old = stack.use(await startGitHttps({ folder: join(folder, 'old'), repositories, old: true }));
  asking = stack.use(
    await startGitHttps({ folder: join(folder, 'asking'), repositories, credentials: 'me:p@ss/word' }),
  );
  site = await createRepository(join(repositories, 'site'));
  const first = await site.commit({ 'page.txt': 'first' });
  await site.git('tag', 'v1');
  const second = await site.commit({ 'page.txt': 'second' });
  await site.git('tag', '--annotate', '--message=x', 'v2');
  const inner = await site.commit({ 'page.txt': 'inner' }); // which no branch or tag names
  const third = await site.commit({ 'page.txt': 'third' });
  await site.git('checkout', '--quiet', '-b', 'side', first);
  const side = await site.commit({ 'page.txt': 'side' });
  await site.git('tag', 'side', third); // a branch and a tag of one name
  await site.git('branch', 'deadbeef', second); // a branch that looks like a commit
  await site.git('checkout', '--quiet', 'main');
  commits = { first, second, inner, third, side };
}, 60_000);

afterAll(() => stack.disposeAsync());

interface Options {
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  silenceMs?: number;
}

async function fetched(url: string, ref: string, options: Options = {}) {
  count += 1;
  const work = join(folder, `work-${count}`);
  await mkdir(work);
  const scratch = await makeScratch(work);
  const logs: string[] = [];
  const { env = {}, signal = new AbortController().signal, silenceMs } = options;
  const outcome = await checkOut(readRepoUrl(url, 'repo_url', true), ref, {
    scratch,
    env: toolEnvironment({ ...process.env, ...env }, scratch.folder),
    tracker: createTracker(({ log }) => logs.push(log)),
    signal,
    ...(silenceMs === undefined ? {} : { silenceMs }),
  }).catch((error: unknown) => error);
  return { outcome, scratch, log: logs.join('\n') };
}

function failure(outcome: unknown): BuildFailure {
  expect(outcome).toBeInstanceOf(BuildFailure);
  return outcome as BuildFailure;
}

const page = (scratch: Scratch) => readFile(join(scratch.checkout, 'page.txt'), 'utf8');
const depth = (scratch: Scratch) =>
  stat(join(scratch.gitDir, 'shallow')).then(
    () => 'shallow',
    () => 'full',
  );

describe('a ref', () => {
  it.each([
    ['a branch', 'main', 'third'],
    ['a tag', 'v1', 'first'],
    ['an annotated tag', 'v2', 'second'],
    ['a branch before a tag of its name', 'side', 'side'],
    ['a full name', 'refs/tags/side', 'third'],
    ['HEAD', 'HEAD', 'third'],
    ['a branch that looks like a commit', 'deadbeef', 'second'],
  ] as const)('may be %s, and that one commit is fetched', async (_what, ref, name) => {
    const { outcome, scratch } = await fetched(`${daemon.url}/site`, ref);
    expect(outcome).toBe(commits[name]);
    expect(await page(scratch)).toBe(name);
    expect(await depth(scratch)).toBe('shallow');
    expect(await readdir(scratch.checkout)).toEqual(['page.txt']);
  });

  it('may be a full commit id, which is fetched alone', async () => {
    const { outcome, scratch } = await fetched(`${daemon.url}/site`, commits.inner);
    expect(outcome).toBe(commits.inner);
    expect(await depth(scratch)).toBe('shallow');
  });

  it('may be any of a repository whose ids are SHA-256', async () => {
    const path = join(folder, 'git/long');
    await mkdir(path);
    await runChild('git', ['init', '--quiet', '--object-format=sha256', '--initial-branch=main'], {
      cwd: path,
      timeoutMs: 60_000,
    });
    const long = await createRepository(path);
    const first = await long.commit({ 'page.txt': 'first' });
    const second = await long.commit({ 'page.txt': 'second' });
    expect(first).toHaveLength(64);
    for (const [ref, commit] of [
      ['main', second],
      [first, first],
      [first.slice(0, 50), first],
    ] as const)
      expect((await fetched(`${daemon.url}/long`, ref)).outcome, ref).toBe(commit);
    expect(failure((await fetched(`${daemon.url}/long`, 'none')).outcome).code).toBe(422);
  });

  it.each([
    ['.git', 'invalid path'],
    ['n'.repeat(300), 'File name too long'],
  ])('whose commit holds what no folder can is a 422: %s', async (name, reason) => {
    const odd = await createRepository(join(folder, `git/odd-${name.length}`));
    await odd.commit({ 'page.txt': 'x' });
    const blob = await odd.git('rev-parse', 'HEAD:page.txt');
    await writeFile(join(folder, 'tree'), `100644 blob ${blob}\t${name}\n`);
    const make = `git mktree <'${join(folder, 'tree')}' | xargs -I% git -c user.name=t -c user.email=t@t commit-tree -m x % | xargs git branch odd`;
    const { code } = await runChild('sh', ['-c', make], { cwd: odd.path, timeoutMs: 60_000 });
    expect(code).toBe(0);
    const failed = failure((await fetched(`${daemon.url}/odd-${name.length}`, 'odd')).outcome);
    expect(failed).toMatchObject({ code: 422, stage: 'git' });
    expect(failed.message).toContain(reason);
  });

  it('may be a full commit id, also of a server that gives nothing by its id', async () => {
    const env = { GIT_SSL_CAINFO: old.caFile };
    const { outcome, scratch, log } = await fetched(`${old.url}/site`, commits.inner, { env });
    expect(outcome).toBe(commits.inner);
    expect(log).toContain('Server does not allow request for unadvertised object');
    expect(await page(scratch)).toBe('inner');
    expect(await depth(scratch)).toBe('full');
  });

  it.each([4, 7, 39])('may be the first %i digits of a commit id', async length => {
    const { outcome, scratch } = await fetched(`${daemon.url}/site`, commits.inner.slice(0, length));
    // Four digits identify one of these few commits, or the error says that they are ambiguous.
    if (outcome instanceof BuildFailure) expect(outcome.message).toContain('more than one commit');
    else expect(await page(scratch)).toBe('inner');
  });

  it('that could be more than one commit is refused', async () => {
    const many = await createRepository(join(folder, 'git/many'));
    const ids = new Set<string>();
    let ambiguous: string | undefined;
    // 4 of 16 digits: by the birthday rule some hundred commits are enough.
    const stream = Array.from(
      { length: 2000 },
      (_, i) => `commit refs/heads/main\ncommitter t <t@t> ${i} +0000\ndata 1\nx\n`,
    ).join('');
    await runChild('git', ['fast-import', '--quiet'], { cwd: many.path, input: stream, timeoutMs: 60_000 });
    for (const id of (await many.git('rev-list', 'main')).split('\n')) {
      const short = id.slice(0, 4);
      if (ids.has(short)) ambiguous = short;
      ids.add(short);
    }
    const { outcome } = await fetched(`${daemon.url}/many`, ambiguous ?? '');
    expect(failure(outcome)).toMatchObject({
      code: 422,
      message: `git_ref: "${ambiguous}" is the beginning of more than one commit: give more of it`,
    });
  });

  it.each([
    ['nowhere', 'neither a branch nor a tag'],
    ['0123456', 'no branch, no tag and no commit'],
    ['0'.repeat(40), 'no branch, no tag and no commit'],
  ])('that is not there is named: %s', async (ref, message) => {
    const { outcome } = await fetched(`${daemon.url}/site`, ref);
    expect(failure(outcome)).toMatchObject({
      code: 422,
      stage: 'git',
      message: expect.stringContaining(message),
    });
    expect(failure(outcome).message).toContain('git_ref: ');
  });
});

describe('a repository', () => {
  it('that is not there is an error of its server', async () => {
    const { outcome } = await fetched(`${daemon.url}/nothing`, 'main');
    expect(failure(outcome)).toMatchObject({
      code: 502,
      stage: 'git',
      message: expect.stringMatching(/^repo_url: /),
    });
  });

  it('that asks for a password fails at once, without a prompt', async () => {
    const env = { GIT_SSL_CAINFO: asking.caFile };
    const { outcome } = await fetched(`${asking.url}/site`, 'main', { env });
    expect(failure(outcome)).toMatchObject({
      code: 422,
      message: expect.stringContaining('asks for credentials'),
    });
  });

  it('that gets its password gives its files, and the password stays nowhere', async () => {
    const env = { GIT_SSL_CAINFO: asking.caFile };
    const url = asking.url.replace('https://', 'https://me:p%40ss%2Fword@');
    const { outcome, scratch, log } = await fetched(`${url}/site`, 'main', { env });
    expect(outcome).toBe(commits.third);
    expect(log).not.toContain('p@ss');
    expect(log).not.toContain('p%40ss');
    expect(await readdir(scratch.home)).toEqual([]);
    expect(await readFile(join(scratch.gitDir, 'config'), 'utf8')).not.toContain('word');
    const wrong = await fetched(`${url.replace('word', 'sword')}/site`, 'main', { env });
    expect(failure(wrong.outcome).message).toContain('asks for credentials');
    expect(wrong.log + failure(wrong.outcome).message).not.toContain('p@ss');
  });

  it('with a certificate of an unknown authority is refused', async () => {
    const { outcome } = await fetched(`${old.url}/site`, 'main');
    expect(failure(outcome)).toMatchObject({ code: 502, message: expect.stringContaining('certificate') });
  });
});

describe('a server', () => {
  let server: Server;
  let sockets: Socket[];
  let behave: (socket: Socket) => void;

  beforeAll(async () => {
    sockets = [];
    server = createServer(socket => {
      sockets.push(socket);
      socket.on('error', () => {});
      behave(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });

  const url = () => `git://127.0.0.1:${(server.address() as AddressInfo).port}/site`;

  it('that says nothing is given up', async () => {
    behave = socket => socket.resume();
    const { outcome } = await fetched(url(), 'main', { silenceMs: 700 });
    expect(failure(outcome)).toMatchObject({
      code: 504,
      stage: 'git',
      message: expect.stringContaining('without output'),
    });
  });

  it('that sends garbage is an error of its own', async () => {
    behave = socket => socket.end('\u0000\u001b[31mHTTP/1.1 nonsense\n'.repeat(1000));
    const { outcome } = await fetched(url(), 'main');
    expect(failure(outcome)).toMatchObject({ code: 502, stage: 'git' });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: looked for
    expect(failure(outcome).message).not.toMatch(/[\u0000-\u001f]/);
  });

  it('that hangs holds nothing up when the build is cancelled', async () => {
    const cancel = new AbortController();
    const gone = new Promise(resolve => {
      behave = socket => {
        socket.resume();
        socket.once('close', resolve);
        cancel.abort();
      };
    });
    const { outcome } = await fetched(url(), 'main', { signal: cancel.signal });
    expect(outcome).toMatchObject({ reason: 'aborted' });
    await gone;
  });
});

describe('a nasty repository', () => {
  it('runs no hook, filter or helper that the host or the repository configures', async () => {
    const marker = join(folder, 'ran');
    const home = join(folder, 'home');
    const hook = `#!/bin/sh\ntouch ${marker}\n`;
    const nasty = await createRepository(join(folder, 'git/nasty'));
    await nasty.commit({
      '.gitattributes': '* filter=evil\n*.bin filter=lfs diff=lfs merge=lfs -text\n',
      '.lfsconfig': '[lfs]\n\turl = ext::touch\n',
      'big.bin': 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
      '.gitmodules': '[submodule "x"]\n\tpath = x\n\turl = ext::touch\n',
      'hooks/post-checkout': hook,
      'page.txt': 'nasty',
    });
    await nasty.git('update-index', '--add', '--cacheinfo', `160000,${commits.first},x`);
    await nasty.git('commit', '--quiet', '--message=submodule');
    const template = await createRepository(join(home, 'template'));
    await template.commit({ 'hooks/post-checkout': hook });
    await writeFile(
      join(home, '.gitconfig'),
      `[filter "evil"]\n\tsmudge = touch ${marker}; cat\n\trequired = true\n[init]\n\ttemplateDir = ${home}/template\n[core]\n\thooksPath = ${home}/template/hooks\n[credential]\n\thelper = "!touch ${marker}"\n[core]\n\tsshCommand = touch ${marker}\n`,
    );
    const env = {
      HOME: home,
      XDG_CONFIG_HOME: home,
      GIT_CONFIG_GLOBAL: join(home, '.gitconfig'),
      GIT_SSH: 'touch',
    };
    const { outcome, scratch } = await fetched(`${daemon.url}/nasty`, 'main', { env });
    expect(outcome).toMatch(/^[0-9a-f]{40}$/);
    expect(await page(scratch)).toBe('nasty');
    expect(await readFile(join(scratch.checkout, 'big.bin'), 'utf8')).toContain('git-lfs');
    expect(await readdir(join(scratch.checkout, 'x'))).toEqual([]);
    await expect(access(marker)).rejects.toThrow();
  });

  it('writes nothing through its symlinks, and keeps them as they are', async () => {
    const links = await createRepository(join(folder, 'git/links'));
    await links.commit({
      loop: { symlink: 'loop' },
      up: { symlink: '../../../..' },
      passwd: { symlink: '/etc/passwd' },
      'deep/a': { symlink: '.' },
    });
    const { outcome, scratch } = await fetched(`${daemon.url}/links`, 'main');
    expect(outcome).toMatch(/^[0-9a-f]{40}$/);
    expect(await readlink(join(scratch.checkout, 'passwd'))).toBe('/etc/passwd');
    expect((await lstat(join(scratch.checkout, 'loop'))).isSymbolicLink()).toBe(true);
  });

  it('may name its files as it likes', async () => {
    const names = ['a\nb', '-rf', 'ä 😀', 'quote\'"', '$(id)', 'x'.repeat(255)];
    const odd = await createRepository(join(folder, 'git/odd'));
    await odd.commit(Object.fromEntries(names.map(name => [name, 'x'])));
    const { outcome, scratch } = await fetched(`${daemon.url}/odd`, 'main');
    expect(outcome).toMatch(/^[0-9a-f]{40}$/);
    expect((await readdir(scratch.checkout)).sort()).toEqual(names.sort());
  });
});
