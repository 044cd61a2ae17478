// What pages tell a reader to type runs, and what they tell a reader to configure is understood. Needs root.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { brokerCommand } from '@coold/broker/config';
import { statusCommand } from '@coold/broker/status-command';
import { keygenCommand, tokenCommand } from '@coold/broker/token';
import { readBuildRequest } from '@coold/builder-core';
import { cooldCommand } from '@coold/coold/config';
import { scaffoldCommand } from '@coold/coold/scaffold-command';
import { statusCommand as cooldStatusCommand } from '@coold/coold/status-command';
import { teardownCommand } from '@coold/coold/teardown-command';
import { type Described, optionRows, parseEnvironmentFile, runChild } from '@coold/runtime';
import { programs, scratchFolder } from '@coold/testbed';
import { createNetns } from '@coold/testbed/netns';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from '../stack.ts';
import { commandsOf, programOf } from './commands.ts';
import { fencesOf } from './markdown.ts';
import { listFiles, listPages, root } from './tree.ts';

const files = listFiles();
const pages = listPages(files).map(page => ({ page, text: readFileSync(join(root, page), 'utf8') }));
const commands = pages.flatMap(({ page, text: said }) =>
  commandsOf(said).map(command => ({ page, command })),
);
const including = (...parts: string[]) =>
  commands.filter(({ command }) => parts.every(part => command.includes(part)));

const described: Record<string, Described> = {
  broker: brokerCommand,
  'broker keygen': keygenCommand,
  'broker status': statusCommand,
  'broker token': tokenCommand,
  coold: cooldCommand,
  'coold firewall teardown': teardownCommand,
  'coold scaffold': scaffoldCommand,
  'coold status': cooldStatusCommand,
};

/** Programs of commands that are run below, or by the tests that are named. */
const isRun = [
  ...['curl', 'alias', 'lane', 'coold', 'broker'],
  ...['npm'], // readme.test.ts runs the quickstart; running the others here would run this test again
  ...['tar', 'install.sh'], // packaging/package.test.ts
  ...['systemctl', 'journalctl'], // e2e/scenarios; their units are looked for below
  ...['builder'], // packages/builder/src/builder.test.ts; its request is read below
];
const ofDevelopers = ['CONTRIBUTING.md'];

describe('the commands of the pages', () => {
  it('are run by a test', () => {
    const strange = commands
      .filter(({ page }) => !ofDevelopers.includes(page))
      .filter(({ command }) => !isRun.includes(programOf(command).replace(/^.*\//, '')));
    expect(strange).toEqual([]);
    expect(commands.length).toBeGreaterThan(25);
  });

  it('have flags that the programs know', () => {
    const names = Object.keys(described).sort((a, b) => b.length - a.length);
    const unknown = commands.flatMap(({ command }) => {
      const name = names.find(it => command === it || command.startsWith(`${it} `));
      const known = name === undefined ? undefined : described[name];
      if (known === undefined) return [];
      const flags = optionRows(known).map(({ flag }) => flag);
      return [...command.matchAll(/ (--[a-z-]+)/g)].filter(([, flag = '']) => !flags.includes(flag));
    });
    expect(unknown).toEqual([]);
  });

  it('name units that are installed', () => {
    const named = including('systemctl').flatMap(({ command }) => command.match(/\S+\.service/g) ?? []);
    expect(named.length).toBeGreaterThan(3);
    expect(named.filter(unit => !files.includes(`systemd/${unit}`))).toEqual([]);
  });
});

describe('the settings of the pages', () => {
  const known = new Set(Object.values(described).flatMap(it => optionRows(it).map(({ env }) => env)));
  const blocks = pages.flatMap(({ page, text: said }) =>
    fencesOf(said)
      .filter(({ language }) => language === 'ini')
      .map(fence => ({ page, variables: parseEnvironmentFile(fence.text) })),
  );

  it.each(blocks)('$page: $variables are understood', ({ variables }) => {
    for (const [name, value] of Object.entries(variables)) {
      const option = Object.values(described)
        .flatMap(command => Object.entries(command.options).map(([key, it]) => ({ command, key, it })))
        .find(({ command, key }) =>
          optionRows(command).some(row => row.env === name && matches(row.flag, key)),
        );
      expect(option?.it.type.parse(value), `${name}=${value}`).toBeDefined();
    }
  });

  it('and every variable that a page names are variables of the programs', () => {
    // These say what will be or what was.
    const others = ['docs/contract.md', 'CHANGELOG.md'];
    const strange = pages
      .filter(({ page }) => !others.includes(page))
      .flatMap(({ page, text: said }) =>
        [...said.matchAll(/\b(?:COOLD|BROKER)_[A-Z_]*[A-Z]\b/g)]
          .filter(([name]) => !known.has(name))
          .map(([name]) => `${page}: ${name}`),
      );
    expect(strange).toEqual([]);
  });

  it('and the request of a build is one', () => {
    const requests = pages.flatMap(({ text: said }) =>
      fencesOf(said).filter(fence => fence.language === 'json' && fence.text.includes('"stack"')),
    );
    expect(requests).toHaveLength(1);
    for (const request of requests)
      expect(readBuildRequest(JSON.parse(request.text))).toMatchObject({ stack: { name: 'static' } });
  });
});

describe('what a reader types', () => {
  const cleanup = new AsyncDisposableStack();
  let folder: string;
  let stack: Stack;
  let api: string;
  beforeAll(async () => {
    folder = cleanup.use(await scratchFolder()).path;
    await mkdir(join(folder, 'bin'));
    for (const name of ['broker', 'coold'] as const)
      await writeFile(
        join(folder, 'bin', name),
        `#!/bin/sh\nexec ${process.execPath} ${programs[name]} "$@"\n`,
        {
          mode: 0o755,
        },
      );
    stack = cleanup.use(await startStack());
    api = String((await stack.coold.logged(({ msg }) => msg === 'serving the API'))['address']);
    await stack.podman.runTiny('web');
  }, 120_000);
  afterAll(() => cleanup.disposeAsync());

  /** As a page has it, with the places of this test instead of an installed host's. */
  const here = (command: string) =>
    command
      .replaceAll('/run/coolify/broker.sock', stack.pairing.socketPath)
      .replaceAll('/etc/coolify/api-token', join(stack.folder, 'api-token'))
      .replaceAll('/etc/coolify/', `${folder}/`)
      .replaceAll('100.64.0.5:8443', api);
  const bash = (script: string) => {
    const env = { ...process.env, PATH: `${folder}/bin:${process.env['PATH']}` };
    return runChild('bash', ['-c', script], { timeoutMs: 60_000, env });
  };

  it('dispatches', async () => {
    const found = including('/v1/coold/dispatch');
    expect(found.length).toBeGreaterThan(2);
    for (const { page, command } of found) {
      const { stdout } = await bash(here(command));
      expect(JSON.parse(stdout), page).toMatchObject({ status: 'ok' });
    }
  });

  it('streams, and brings input', async () => {
    const [open, input] = ['/v1/coold/stream \\', '/input \\'].map(part => including(part)[0]?.command ?? '');
    // The container is of an image that has busybox and nothing else.
    const typed = here(open ?? '').replace('"cmd":["cat"]', '"cmd":["/bin/busybox","cat"]');
    const stream = spawn('bash', ['-c', typed], { stdio: ['ignore', 'pipe', 'ignore'] });
    const said = text(stream.stdout);
    await new Promise(resolve => stream.stdout.once('data', resolve));
    expect((await bash(`${here(input ?? '')} -s -o /dev/null -w '%{http_code}'`)).stdout).toBe('204');
    expect((await said).trim().split('\n')).toEqual([
      '{"request_id":"any-2","status":"ok"}',
      '{"stream":"stdout","data":"hello\\n"}',
      '{"exit_code":0}',
    ]);
  });

  it('asks for a build, which no host here makes', async () => {
    const [alias, ...lines] = commands.filter(({ command }) => /^(?:alias )?lane\b/.test(command));
    expect(lines.length).toBeGreaterThan(3);
    const setUp = `shopt -s expand_aliases\n${here(alias?.command ?? '')}\n`;
    const answers: unknown[] = [];
    for (const { command } of lines) answers.push(JSON.parse((await bash(setUp + command)).stdout));
    const [dispatched, ...others] = answers;
    const none = { request_id: 'build-1', status: 'error', code: 503, stage: 'dispatch' };
    expect(dispatched).toMatchObject(none);
    for (const other of others) expect(other).toMatchObject({ request_id: 'build-1', code: 404 });
  });

  it('calls a host over REST', async () => {
    const [found] = including('/api/v1/');
    expect(JSON.parse((await bash(here(found?.command ?? ''))).stdout)).toMatchObject({ Name: 'web' });
  });

  it('makes keys and a token', async () => {
    for (const { command } of [...including('broker keygen'), ...including('broker token')])
      expect(await bash(here(command))).toMatchObject({ code: 0 });
    expect((await stat(join(folder, 'host-jwt'))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(folder, 'host-jwt'), 'utf8')).toMatch(/^ey[\w-]+\.[\w-]+\.[\w-]+\n$/);
    expect(await readFile(join(folder, 'jwt.pub'), 'utf8')).toContain('BEGIN PUBLIC KEY');
  });

  it('prints the scaffold, applies it and takes it out again', async () => {
    const netns = await createNetns();
    try {
      const env = {
        ...process.env,
        PATH: `${folder}/bin:${process.env['PATH']}`,
        COOLD_RULES_PATH: `${folder}/r`,
      };
      const run = (command: string) => netns.exec('bash', ['-c', here(command)], { env });
      const chains = async () => (await netns.exec('iptables', ['-S'])).stdout;
      const [print, apply] = including('coold scaffold').map(({ command }) => command);
      expect((await run(print ?? '')).stdout).toContain('COOLIFY-INTRA');
      expect(await chains()).not.toContain('COOLIFY-INTRA');
      await run(apply ?? '');
      expect(await chains()).toContain('COOLIFY-INTRA');
      for (const { command } of including('coold firewall teardown')) await run(command);
      expect(await chains()).not.toContain('COOLIFY-INTRA');
    } finally {
      await netns.close();
    }
  });
});

/** Whether a flag is that of an option's key. */
function matches(flag: string, key: string): boolean {
  return flag.replaceAll('-', '') === key.toLowerCase();
}
