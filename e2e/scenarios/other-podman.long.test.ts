// Runs all tests that use a real Podman with the Podman of the other Debian, and the Dockerfile builds with its
// buildah.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLab, type Lab } from '../harness/lab/lab.ts';
import { systemOf } from '../harness/lab/root.ts';
import { type Host, hostSystems } from '../harness/provider.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const others = hostSystems.filter(system => system !== systemOf(readFileSync('/etc/os-release', 'utf8')));

/** The tests of verbs over both transports, of the code that calls Podman, and of images compared with `docker build`. */
const tested = [
  'packages/coold/src/podman/',
  'packages/coold/src/transport/',
  'packages/coold/src/verbs/',
  'packages/coold/src/discovery/',
  'e2e/equality.long.test.ts',
  'e2e/streams.long.test.ts',
  'e2e/verbs.test.ts',
  'packages/builder/test/docker-equality/',
];

/** The root may have to be created first. */
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
  'every verb’s tests, and those of images, pass with the Podman and buildah of $system',
  { timeout: testsMs },
  async ({ number }) => {
    const vitest = [process.execPath, join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--root', root];
    const argv = ['env', `--chdir=${root}`, 'CI=true', ...vitest, '--maxWorkers=2', ...tested] as const;
    const { code, stdout, stderr } = (await hosts[number]?.exec([...argv], { timeoutMs: testsMs })) ?? {};
    expect(code, `${stdout}\n${stderr}`.split('\n').slice(-200).join('\n')).toBe(0);
    expect(stdout).toMatch(/Tests .*\d+ passed/);
  },
);
