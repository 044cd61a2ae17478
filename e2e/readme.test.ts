import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
describe('the README', () => {
  it('has a quickstart that answers as it says, and leaves nothing behind', async () => {
    const run = () =>
      runChild('npm', ['run', '--silent', 'quickstart', '--', '--once'], { cwd: root, timeoutMs: 120_000 });
    const { code, stdout, stderr } = await run();
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      request_id: 'quickstart-1',
      status: 'ok',
      data: [{ name: 'hello', image: 'localhost/tiny:latest', state: 'running', networks: ['podman'] }],
    });
    await expect(readFile(`${root}.quickstart/host-jwt`)).rejects.toThrow(/ENOENT/);
  }, 150_000);

  it('has a quickstart that a second one does not disturb, and that Ctrl-C ends at any moment', async () => {
    const start = () =>
      spawn('npm', ['run', '--silent', 'quickstart'], {
        cwd: root,
        stdio: ['ignore', 'ignore', 'pipe'],
        detached: true,
      });
    for (const moment of ['building a tiny image', 'up until Ctrl-C']) {
      const first = start();
      const lines = createInterface({ input: first.stderr });
      await new Promise<void>(resolve => lines.on('line', line => line.includes(moment) && resolve()));
      const second = start();
      const [said] = await Promise.all([text(second.stderr), once(second, 'close')]);
      expect(said).toContain('another quickstart runs in this checkout');
      process.kill(-(first.pid ?? 0), 'SIGINT'); // as a terminal does: to the whole group
      await once(first, 'close');
      await expect(access(`${root}.quickstart`), moment).rejects.toThrow(/ENOENT/);
    }
  }, 150_000);

  it('has a quickstart that says what it does not understand', async () => {
    const { code, stderr } = await runChild('npm', ['run', '--silent', 'quickstart', '--', '--twice'], {
      cwd: root,
      timeoutMs: 60_000,
    });
    expect(code).toBe(2);
    expect(stderr).toContain('--twice: expected nothing, or --once');
  });
});
