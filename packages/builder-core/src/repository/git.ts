import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFailure, meansNoSpace } from '../build-failure.ts';
import { isDiskFull } from '../disk/disk-usage.ts';
import type { Tracker } from '../progress.ts';
import { type RefSearch, searchFor } from '../request/git-ref.ts';
import type { Credentials, RepoUrl } from '../request/repo-url.ts';
import type { Scratch } from '../scratch.ts';
import type { OutputLine } from '../tools/output-lines.ts';
import { failureReason, runTool, type ToolResult } from '../tools/run-tool.ts';
import { gitEnvironment } from '../tools/tool-environment.ts';

export interface GitOptions {
  scratch: Scratch;
  env: NodeJS.ProcessEnv;
  tracker: Tracker;
  signal: AbortSignal;
  /** The fetch fails when the server sends nothing for this long, in ms. Default 2 min. */
  silenceMs?: number;
}

/** Settings of git that neither a repository nor a configuration file can change. */
const settings = [
  ...[
    'core.hooksPath=/dev/null',
    'core.attributesFile=/dev/null',
    'core.fsmonitor=false',
    'core.symlinks=true',
  ],
  ...['credential.helper=', 'gc.auto=0', 'maintenance.auto=false', 'advice.detachedHead=false'],
  // git does not load a file that is larger than this, in bytes, into memory as a whole. With unpackLimit=1 git stores the
  // pack as it arrives, by index-pack, which reports its progress; unpack-objects does not.
  ...['core.bigFileThreshold=33554432', 'fetch.unpackLimit=1'],
  ...['submodule.recurse=false', 'fetch.recurseSubmodules=false', 'init.defaultBranch=build'],
].flatMap(setting => ['-c', setting]);

const target = 'refs/build/target';

/**
 * Fetches one commit of a repository and checks it out. The git folder is outside the checkout, so the checkout holds the
 * files of the commit and nothing else. No hook, filter or submodule is used. Only this commit is fetched, unless the server
 * does not serve commits by id or the id is abbreviated; then all branches and tags are fetched.
 *
 * @returns the full id of the commit
 * @throws BuildFailure of stage git
 */
export async function checkOut(repo: RepoUrl, ref: string, options: GitOptions): Promise<string> {
  const { scratch, env, tracker, signal, silenceMs = 120_000 } = options;
  const { gitDir, checkout, home } = scratch;
  const helper = repo.credentials === undefined ? [] : ['-c', 'credential.helper=store'];
  const git = (...args: string[]) =>
    runTool('git', [...settings, ...helper, ...args], {
      env: gitEnvironment(env, { protocol: repo.protocol, gitDir, checkout }),
      cwd: checkout,
      stage: 'git',
      signal,
      silenceMs,
      onLines: (lines, stream) => {
        if (stream === 'stderr') follow(lines, tracker);
      },
    });
  tracker.log(`fetching ${ref} of ${repo.url}`);
  const begin = async (format: 'sha1' | 'sha256') =>
    expectDone(await git('init', '--quiet', '--template=', `--object-format=${format}`));
  await begin('sha1');
  const credentials = join(home, '.git-credentials');
  if (repo.credentials !== undefined)
    await writeFile(credentials, credentialLine(repo.url, repo.credentials), { mode: 0o600 });
  try {
    const fetch = () => fetchCommit(git, repo.url, ref, searchFor(ref));
    const commit = await fetch().catch(async (error: unknown) => {
      if (!(error instanceof OtherHash)) throw error;
      await rm(gitDir, { recursive: true, force: true });
      await mkdir(gitDir, { mode: 0o700 });
      await begin('sha256');
      return await fetch();
    });
    tracker.log(`checking out ${commit}`);
    expectCheckedOut(await git('checkout', '--force', '--detach', '--progress', commit));
    return commit;
  } catch (error) {
    if (error instanceof BuildFailure && (await isDiskFull(checkout))) throw noSpace(error.message);
    throw error;
  } finally {
    await rm(credentials, { force: true });
  }
}

/** The repository of the server uses SHA-256 ids, which a local SHA-1 repository cannot hold. */
class OtherHash extends BuildFailure {}

type Git = (...args: string[]) => Promise<ToolResult>;

async function fetchCommit(git: Git, url: string, ref: string, search: RefSearch): Promise<string> {
  const fetch = [
    'fetch',
    '--no-tags',
    '--no-recurse-submodules',
    '--no-write-fetch-head',
    '--progress',
    '--force',
  ];
  const notFound = (why: string) => new BuildFailure(422, 'git', `git_ref: ${JSON.stringify(ref)} ${why}`);
  for (const refspec of search.refspecs) {
    const result = await git(...fetch, '--depth=1', '--', url, `+${refspec}:${target}`);
    if (result.code === 0) return await resolve(git, target, () => notFound('is not a commit'));
    if (!isMissing(result)) throw fetchFailure(result);
  }
  if (search.commit === undefined) throw notFound('is neither a branch nor a tag of the repository');
  const everything = ['+refs/heads/*:refs/build/heads/*', '+refs/tags/*:refs/build/tags/*'];
  const result = await git(...fetch, '--', url, ...everything);
  if (result.code !== 0) throw fetchFailure(result);
  return await resolve(git, search.commit, words =>
    words.some(line => line.includes('ambiguous'))
      ? notFound('is the beginning of more than one commit: give more of it')
      : notFound('is no branch, no tag and no commit of the repository'),
  );
}

async function resolve(git: Git, name: string, failure: (words: string[]) => BuildFailure): Promise<string> {
  const { code, stdout, stderrTail } = await git(
    'rev-parse',
    '--verify',
    '--end-of-options',
    `${name}^{commit}`,
  );
  const commit = stdout.trim();
  if (code !== 0 || !/^[0-9a-f]{40,64}$/.test(commit)) throw failure(stderrTail);
  return commit;
}

/** Whether the server answered that it does not have the ref, or that it does not serve commits by id (older protocol). */
function isMissing({ stderrTail }: ToolResult): boolean {
  return stderrTail.some(line =>
    /^fatal: couldn't find remote ref |Server does not allow request for unadvertised object|not our ref /.test(
      line,
    ),
  );
}

function fetchFailure(result: ToolResult): BuildFailure {
  // Over ssh, git always ends with these lines. The reason is in the lines of ssh before them.
  const stderrTail = result.stderrTail.filter(
    line =>
      !/^fatal: Could not read from remote|^Please make sure you have|^and the repository exists/.test(line),
  );
  const reason = failureReason(
    stderrTail,
    /^(?:fatal|error|ssh): |Permission denied|Host key verification failed/,
  );
  if (meansNoSpace(stderrTail.join('\n'))) return noSpace(reason);
  if (/mismatched algorithms: client sha1; server sha256/.test(stderrTail.join('\n')))
    return new OtherHash(502, 'git', `repo_url: git could not fetch: ${reason}`);
  if (stderrTail.some(line => line.includes('Host key verification failed')))
    return new BuildFailure(422, 'git', `repo_url: this host does not know the key of the server: ${reason}`);
  const refused =
    /could not read (?:Username|Password)|Authentication failed|Permission denied|The requested URL returned error: 40[13]/;
  if (stderrTail.some(line => refused.test(line)))
    return new BuildFailure(
      422,
      'git',
      `repo_url: the repository asks for credentials that it was not given: ${reason}`,
    );
  return new BuildFailure(502, 'git', `repo_url: git could not fetch: ${reason}`);
}

function expectDone(result: ToolResult): void {
  if (result.code === 0) return;
  const reason = failureReason(result.stderrTail, /^(?:fatal|error): /);
  if (meansNoSpace(result.stderrTail.join('\n'))) throw noSpace(reason);
  throw new BuildFailure(500, 'git', `git: ${reason}`);
}

/** A commit may hold names that git refuses or the file system cannot store. Those are faults of the commit. */
function expectCheckedOut(result: ToolResult): void {
  const pattern = /^error: (?:invalid path |unable to create file .*: File name too long)/;
  if (result.code !== 0 && result.stderrTail.some(line => pattern.test(line)))
    throw new BuildFailure(
      422,
      'git',
      `git_ref: the commit cannot be checked out: ${failureReason(result.stderrTail, pattern)}`,
    );
  expectDone(result);
}

function noSpace(reason: string): BuildFailure {
  return new BuildFailure(507, 'git', `no room on the disk for the repository: ${reason}`);
}

/** Returns the line that git-credential-store reads. */
function credentialLine(url: string, { username, password }: Credentials): string {
  return `https://${encodeURIComponent(username)}:${encodeURIComponent(password)}@${new URL(url).host}\n`;
}

/** The phases of git with the share of this stage that each covers. */
const phases: Record<string, [from: number, to: number]> = {
  'Receiving objects': [0.1, 0.7],
  'Resolving deltas': [0.7, 0.8],
  'Updating files': [0.8, 1],
};

function follow(lines: readonly OutputLine[], tracker: Tracker): void {
  for (const { text } of lines) {
    const [, name = '', percent = ''] = /^([A-Z][a-z]+ [a-z]+): +(\d{1,3})%/.exec(text) ?? [];
    const phase = Object.hasOwn(phases, name) ? phases[name] : undefined;
    if (phase !== undefined) tracker.advance(phase[0] + ((phase[1] - phase[0]) * Number(percent)) / 100);
  }
  const kept = lines.filter(({ text, transient }) => !transient && text.trim() !== '');
  if (kept.length > 0) tracker.log(kept.map(({ text }) => text.trimEnd()).join('\n'));
}
