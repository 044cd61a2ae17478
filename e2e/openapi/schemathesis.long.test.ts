// schemathesis calls both programs by their OpenAPI documents: allowed requests must be accepted, forbidden ones
// refused, and each answer must match the document. Uses a real broker, coold and Podman; pip installs schemathesis
// into .toolchain.
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { root } from '../docs/tree.ts';
import { type Stack, startStack } from '../stack.ts';

const version = '4.32.5';
const venv = join(root, `.toolchain/schemathesis-${version}`);
const program = join(venv, 'bin/schemathesis');
const seed = '1';

const cleanup = new AsyncDisposableStack();
let stack: Stack;
let rest: string;
beforeAll(async () => {
  if (!existsSync(program)) await install();
  const folder = cleanup.use(await scratchFolder());
  const revoked = join(folder.path, 'revoked');
  await writeFile(revoked, '', { mode: 0o600 });
  stack = cleanup.use(await startStack({ broker: { BROKER_REVOKED_FILE: revoked } }));
  await stack.podman.ensureTinyImage();
  const { address } = await stack.coold.logged(({ msg }) => msg === 'serving the API');
  rest = `http://${String(address)}`;
}, 600_000);
afterAll(() => cleanup.disposeAsync());

async function install(): Promise<void> {
  for (const [command, ...args] of [
    ['python3', '-m', 'venv', venv],
    [join(venv, 'bin/pip'), 'install', '--quiet', `schemathesis==${version}`],
  ] as const) {
    const { code, stderr } = await runChild(command, args, { timeoutMs: 500_000 });
    if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  }
}

/** Runs schemathesis against a server, and returns the end of its output. */
async function check(url: string, ...args: string[]): Promise<{ code: number | null; said: string }> {
  const { code, stdout, stderr } = await runChild(
    program,
    [
      ...([
        '--config-file',
        join(import.meta.dirname, 'schemathesis.toml'),
        'run',
        `${url}/openapi.json`,
      ] as const),
      ...([
        '--url',
        url,
        '--phases',
        'examples,coverage,fuzzing',
        '--max-examples',
        '15',
        '--seed',
        seed,
      ] as const),
      ...([
        '--request-timeout',
        '30',
        '--no-color',
        '--continue-on-failure',
        '--suppress-health-check',
        'all',
      ] as const),
      ...args,
    ],
    {
      timeoutMs: 1_500_000,
      // It stores its findings in its working folder.
      cwd: stack.folder,
      env: { ...process.env, PYTHONPATH: import.meta.dirname, SCHEMATHESIS_HOOKS: 'schemathesis_hooks' },
    },
  );
  return { code, said: `${stdout}${stderr}` };
}

it(`finds nothing in a host's REST API`, { timeout: 1_600_000 }, async () => {
  const { code, said } = await check(rest, '--header', `Authorization: Bearer ${stack.pairing.apiToken}`);
  expect([code, said]).toEqual([0, expect.stringContaining('Selected: 42/42')]);
});

it("finds nothing at the broker's lane", { timeout: 1_600_000 }, async () => {
  // schemathesis supports only TCP.
  const proxy = createServer(client => {
    const lane = connect(stack.pairing.socketPath);
    client.on('error', () => lane.destroy()).pipe(lane);
    lane.on('error', () => client.destroy()).pipe(client);
  });
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
  try {
    const at = proxy.address();
    if (at === null || typeof at === 'string') throw new Error('the proxy has no port');
    // The broker answers 200 whatever a command's result is, so a dispatch shows nothing about its command. The three
    // dispatches are left out: schemathesis does not finish with a body that is one of forty commands.
    const { code, said } = await check(
      `http://127.0.0.1:${at.port}`,
      ...(['--exclude-checks', 'positive_data_acceptance'] as const),
      ...['dispatch', 'stream', 'build.dispatch'].flatMap(id => ['--exclude-operation-id', id]),
    );
    expect([code, said]).toEqual([0, expect.stringContaining('Selected: 12/15')]);
  } finally {
    proxy.close();
  }
});
