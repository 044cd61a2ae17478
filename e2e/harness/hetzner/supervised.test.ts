import { runChild } from '@coold/runtime';
import { soon } from '@coold/testbed/soon';
import { expect, test } from 'vitest';
import { readEnding, supervisedLine } from './supervised.ts';

const mark = 'mark-of-the-test';
const env = { PATH: '/usr/bin:/bin', GREETING: "it's $HOME" };

/** Runs the line in the user's shell, as sshd does. */
async function run(argv: readonly string[], timeoutMs = 5000, input = '') {
  const line = supervisedLine(mark, timeoutMs, env, argv);
  const { code, stdout, stderr } = await runChild('sh', ['-c', line], { timeoutMs: 10_000, input });
  return { code, stdout, ...readEnding(mark, stderr) };
}

test('passes arguments, input, output and environment unchanged', async () => {
  const script = 'cat; printf "%s|" "$GREETING" "$@"; echo to stderr >&2; pwd';
  expect(await run(['sh', '-c', script, 'sh', "a 'b'", '', '$(id)'], 5000, 'input\n')).toEqual({
    code: 0,
    stdout: "input\nit's $HOME|a 'b'||$(id)|/root\n",
    stderr: 'to stderr\n',
    ending: { kind: 'exit', code: 0 },
  });
  expect((await run(['env'])).stdout.split('\n').sort()).toContain('PATH=/usr/bin:/bin');
  expect((await run(['env'])).stdout).not.toContain('HOME=');
});

test('tells exit codes from signals', async () => {
  expect(await run(['sh', '-c', 'exit 255'])).toMatchObject({
    code: 255,
    ending: { kind: 'exit', code: 255 },
  });
  expect(await run(['sh', '-c', 'exit 137'])).toMatchObject({
    code: 137,
    ending: { kind: 'exit', code: 137 },
  });
  expect(await run(['sh', '-c', 'kill -9 $$'])).toMatchObject({
    code: 137,
    ending: { kind: 'signal', signal: 9 },
  });
  expect(await run(['no-such-program'])).toMatchObject({
    ending: { kind: 'exit', code: 127 },
    stderr: expect.stringContaining('no-such-program'),
  });
});

test('kills a program and its children after the time limit', async () => {
  const pids = await run(['sh', '-c', 'sleep 7755 & echo $!; wait'], 300);
  expect(pids.ending).toEqual({ kind: 'timeout' });
  const state = async () =>
    (await runChild('ps', ['-o', 'stat=', '-p', pids.stdout.trim()], { timeoutMs: 5000 })).stdout.trim();
  // Gone, or a zombie of any priority that its new parent has not reaped yet.
  await soon(async () => expect(await state()).toMatch(/^(?:Z.*)?$/));
});

test('leaves background processes of a program that ends by itself', async () => {
  const { stdout, ending } = await run(['sh', '-c', 'sleep 0.3 >/dev/null 2>&1 </dev/null & echo $!']);
  expect(ending).toEqual({ kind: 'exit', code: 0 });
  process.kill(Number(stdout), 0);
});

test('finds no ending without its mark', () => {
  expect(readEnding(mark, 'Connection closed')).toEqual({ stderr: 'Connection closed', ending: undefined });
  expect(readEnding(mark, `x${mark} exit`)).toEqual({ stderr: `x${mark} exit`, ending: undefined });
  expect(readEnding(mark, `no line end${mark} exit 3\nlate`)).toEqual({
    stderr: 'no line endlate',
    ending: { kind: 'exit', code: 3 },
  });
});
