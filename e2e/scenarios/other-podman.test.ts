// Everything that is tested with a real Podman, with the Podman of the Debian that this machine does not run.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLab, type Lab } from '../harness/lab/lab.ts';
import { systemOf } from '../harness/lab/root.ts';
import { type Host, hostSystems } from '../harness/provider.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const others = hostSystems.filter(system => system !== systemOf(readFileSync('/etc/os-release', 'utf8')));

/** Of the verbs, over both transports, and of what asks Podman for them. */
const tested = [
  'packages/coold/src/podman/',
  'packages/coold/src/api/',
  'packages/coold/src/discovery/',
  'e2e/equality.test.ts',
  'e2e/streams.test.ts',
  'e2e/verbs.test.ts',
];

/** The root may have to be made first. */
const setUpMs = 15 * 60_000;
const testsMs = 15 * 60_000;

let lab: Lab;
let hosts: Host[];
beforeAll(async () => {
  lab = await createLab();
  hosts = await lab.up(others.map((system, number) => ({ name: `h${number}`, system, share: root })));
}, setUpMs);
afterAll(() => lab?.close(), setUpMs);

test.each(others.map((system, number) => ({ system, number })))(
  'every verb’s tests pass with the Podman of $system',
  { timeout: testsMs },
  async ({ number }) => {
    const vitest = [process.execPath, join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--root', root];
    const argv = ['env', `--chdir=${root}`, 'CI=true', ...vitest, '--maxWorkers=2', ...tested] as const;
    const { code, stdout, stderr } = (await hosts[number]?.exec([...argv], { timeoutMs: testsMs })) ?? {};
    expect(code, `${stdout}\n${stderr}`.split('\n').slice(-200).join('\n')).toBe(0);
    expect(stdout).toMatch(/Tests .*\d+ passed/);
  },
);
