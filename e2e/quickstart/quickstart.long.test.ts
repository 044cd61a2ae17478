// Runs the quickstart like a new user: once to its end, and interactively with everything that it prints pasted into a
// shell.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../harness/eventually.ts';
import { defaultRunRoot } from '../harness/lab/run.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = fileURLToPath(new URL('main.ts', import.meta.url));
/** A generous limit for a busy machine. On an idle one it is up after 10 s. */
const upMs = 300_000;
const testMs = 600_000;

interface Started {
  child: ChildProcess;
  /** Its output so far. */
  lines: string[];
  /** Resolves with the first line that contains these words. */
  said(words: string): Promise<string>;
  /** Its exit code, or the signal that ended it. */
  ended: Promise<number | string>;
}

const running = new Set<Started>();
afterEach(async () => {
  for (const started of running) started.child.kill('SIGTERM');
  await Promise.all([...running].map(({ ended }) => ended));
}, 120_000);

/** Starts a program in its own process group, like a terminal. */
function start(program: string, ...args: string[]): Started {
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const lines: string[] = [];
  const watchers = new Set<(line: string) => void>();
  createInterface({ input: child.stderr }).on('line', line => {
    lines.push(line);
    for (const watch of watchers) watch(line);
  });
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  const started: Started = {
    child,
    lines,
    ended,
    said: words =>
      new Promise((resolve, reject) => {
        const look = (line: string) => line.includes(words) && resolve(line);
        lines.forEach(look);
        watchers.add(look);
        const give = (why: string) =>
          reject(new Error(`it did not say ${words}: ${why}\n${lines.join('\n')}`));
        void ended.then(code => give(`it ended with ${code}`));
        setTimeout(give, upMs, `not within ${upMs} ms`).unref();
      }),
  };
  running.add(started);
  void ended.then(() => running.delete(started));
  return started;
}

const npm = (...args: string[]) => start('npm', 'run', '--silent', 'quickstart', '--', ...args);
/** Runs main.ts directly: the process id is part of the names of everything that it creates. */
const alone = () => start(process.execPath, main);

/** Returns what a process has created outside of itself. */
async function tracesOf(pid: number): Promise<string[]> {
  const there = async (folder: string) => await readdir(folder).catch(() => [] as string[]);
  const all = await Promise.all(
    [defaultRunRoot, '/run/netns', '/sys/fs/cgroup', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup/memory'].map(
      there,
    ),
  );
  const folder = await access(`${root}.quickstart`).then(
    () => ['.quickstart'],
    () => [],
  );
  return [...folder, ...all.flat().filter(name => new RegExp(`^(coold-lab-)?${pid}-`).test(name))];
}

async function nothingLeft(pid: number): Promise<void> {
  await eventually(
    `nothing to be left of ${pid}`,
    async () => ((await tracesOf(pid)).length === 0 ? true : undefined),
    { timeoutMs: 60_000, everyMs: 200 },
  ).catch(async (error: unknown) => {
    throw new Error(`left: ${(await tracesOf(pid)).join(', ')}`, { cause: error });
  });
}

/** The parts of the last line that are used here. */
interface Story {
  visits: { requests: number; failed: number; v1: number; v2: number };
  steps: { calls: { body?: { command?: { type: string } } }[] }[];
}

const bash = (script: string, timeoutMs = 120_000) => runChild('bash', ['-c', script], { timeoutMs });

/** Runs a pasted call. It is repeated until the name is known, since a reader takes longer than that. */
async function answerOf(call: string, wanted = ''): Promise<unknown> {
  return await eventually(
    call,
    async () => {
      const { code, stdout, stderr } = await bash(call);
      expect(code, `${call}\n${stderr}`).toBe(0);
      const isKnown = !call.includes('nslookup') || stdout.includes('"exit_code":0');
      return isKnown && stdout.includes(wanted) ? (JSON.parse(stdout) as unknown) : undefined;
    },
    { timeoutMs: 60_000 },
  );
}

describe('the quickstart', () => {
  it('ends with the whole story when it is run once, without a warning', { timeout: testMs }, async () => {
    const { code, stdout, stderr } = await runChild(
      'npm',
      ['run', '--silent', 'quickstart', '--', '--once'],
      { cwd: root, timeoutMs: testMs, maxOutputBytes: 8 << 20 },
    );
    expect(code, stderr).toBe(0);
    const story = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Story;
    const container = (name: string, image: string) => ({
      name,
      image: `localhost/quickstart/${image}`,
      state: 'running',
      networks: ['coolify-default-mesh'],
    });
    expect(story).toMatchObject({
      status: 'ok',
      data: expect.arrayContaining([
        expect.objectContaining(container('web-2', 'web:v2')),
        expect.objectContaining(container('visitor', 'httpd:latest')),
      ]),
      visits: { failed: 0, v1: expect.any(Number), v2: expect.any(Number) },
      warnings: [],
    });
    expect(story.visits.v1 + story.visits.v2).toBe(story.visits.requests);
    expect(story.visits.v1 * story.visits.v2).toBeGreaterThan(0);
    const types = story.steps.flatMap(({ calls }) => calls.map(({ body }) => body?.command?.type));
    for (const type of [
      ...['static_build', 'containers.create', 'containers.start', 'containers.healthcheck'],
      ...['services.register', 'containers.exec', 'firewall.explain', 'firewall.allow', 'firewall.revoke'],
    ])
      expect(types).toContain(type);
    expect(stderr).not.toMatch(/warn/i);
    await expect(access(`${root}.quickstart`)).rejects.toThrow(/ENOENT/);
  });

  it('prints calls that work when pasted, and stops at Ctrl-C', { timeout: testMs }, async () => {
    const quickstart = npm();
    await quickstart.said('up until Ctrl-C');
    await quickstart.said(' runs any other command on the host');
    const pasted = quickstart.lines;
    const begin = pasted.findIndex(line => /\[ 1\/\d+\] /.test(line));
    const end = pasted.findIndex(line => line.includes('all told'));
    const calls = pasted.slice(begin, end).filter(line => line.startsWith('curl '));
    expect(calls.length).toBeGreaterThan(30);

    const answers: unknown[] = [];
    const background: Promise<unknown>[] = [];
    // wget may still use web-1 for the 5 s that its name is cached, although it is unregistered.
    let wanted: string | undefined;
    for (const call of calls) {
      if (call.includes('services.unregister')) wanted = 'version 2';
      const isFetch = call.includes('wget');
      if (call.includes('/v1/coold/stream')) {
        background.push(bash(call).then(({ stdout }) => expect(stdout).toContain('{"exit_code":0}')));
        continue;
      }
      answers.push(await answerOf(call, isFetch ? wanted : undefined));
      if (isFetch) wanted = undefined;
      expect(answers.at(-1), `${call}\n${JSON.stringify(answers.at(-1))}`).not.toMatchObject({
        status: 'error',
      });
    }
    await Promise.all(background);
    const outputs = answers.map(answer => (answer as { data?: { output?: string } }).data?.output);
    expect(outputs).toContain('<h1>version 1</h1>\n');
    expect(outputs).toContain('<h1>version 2</h1>\n');

    const things = pasted.slice(pasted.findIndex(line => line.includes('Try these')));
    const commands = things.flatMap((line, at) => (/ s {2}\d\. /.test(line) ? [things[at + 1] ?? ''] : []));
    expect(commands).toHaveLength(6);
    const outcomes: Awaited<ReturnType<typeof bash>>[] = [];
    for (const command of commands) outcomes.push(await bash(command));
    const said = outcomes.map(({ stdout }) => stdout);
    expect(
      outcomes.map(({ code }) => code),
      JSON.stringify(outcomes),
    ).toEqual([0, 0, 1, 0, 0, 0]);
    expect(said[0]).not.toContain('PROBLEM');
    expect(said[1]).toContain('10.210.0.21');
    expect(said[2]).toContain('BLOCKED');
    expect(said[3]).toContain(String.raw`<h1>version 2</h1>\n`);
    expect(said[4]).toContain('"digest":"sha256:');
    expect(JSON.parse(said[5] ?? '')).toMatchObject({ podman: { version: expect.any(String) } });

    process.kill(-(quickstart.child.pid ?? 0), 'SIGINT'); // to the whole group, as a terminal does
    await quickstart.ended;
    await expect(access(`${root}.quickstart`)).rejects.toThrow(/ENOENT/);
  });

  it.each([
    ['SIGINT', 'boot a host'],
    ['SIGTERM', 'wait until web-1 is healthy'],
    ['SIGKILL', 'set up its mesh'],
    ['SIGKILL', 'replace web-1'],
  ] as const)(
    'leaves nothing behind when it gets %s at "%s"',
    { timeout: testMs },
    async (signal, moment) => {
      const quickstart = alone();
      const pid = quickstart.child.pid ?? 0;
      await quickstart.said(moment);
      expect(await tracesOf(pid)).not.toEqual([]);
      process.kill(-pid, signal);
      expect(await quickstart.ended).toBe(signal === 'SIGKILL' ? 'SIGKILL' : 130);
      await nothingLeft(pid);
    },
  );

  it('ends when npm, which started it, is killed', { timeout: testMs }, async () => {
    const quickstart = npm();
    await quickstart.said('start the default deny');
    const { stdout } = await runChild('pgrep', ['-f', `${main}$`], { timeoutMs: 10_000 });
    const pid = Number(stdout.trim().split('\n')[0]);
    expect(await tracesOf(pid)).not.toEqual([]);
    quickstart.child.kill('SIGKILL');
    await nothingLeft(pid);
  });

  it('refuses unknown options', async () => {
    const { code, stderr } = await runChild('npm', ['run', '--silent', 'quickstart', '--', '--twice'], {
      cwd: root,
      timeoutMs: 60_000,
    });
    expect(code).toBe(2);
    expect(stderr).toContain('--twice: expected nothing, or --once');
  });
});
