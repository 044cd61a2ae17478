// Runs the commands that the pages show, and checks that the programs accept the settings shown there. Needs root.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { brokerCommand } from '@coold/broker/config';
import { doctorCommand } from '@coold/broker/doctor-command';
import { statusCommand } from '@coold/broker/status-command';
import { keygenCommand, tokenCommand } from '@coold/broker/token-commands';
import { readBuildRequest } from '@coold/builder-core';
import { cooldCommand } from '@coold/coold/config';
import { doctorCommand as cooldDoctorCommand } from '@coold/coold/doctor-command';
import { scaffoldCommand } from '@coold/coold/scaffold-command';
import { statusCommand as cooldStatusCommand } from '@coold/coold/status-command';
import { supportCommand } from '@coold/coold/support-command';
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
/** Pages whose blocks are run in order, as a reader does: e2e/scenarios/*-guide.long.test.ts. */
const followed = ['docs/guide/backup.md', 'docs/guide/first-app.md', 'docs/guide/mesh.md'];
const commands = pages
  .filter(({ page }) => !followed.includes(page))
  .flatMap(({ page, text: said }) => commandsOf(said).map(command => ({ page, command })));
const including = (...parts: string[]) =>
  commands.filter(({ command }) => parts.every(part => command.includes(part)));

const described: Record<string, Described> = {
  broker: brokerCommand,
  'broker doctor': doctorCommand,
  'broker keygen': keygenCommand,
  'broker status': statusCommand,
  'broker token': tokenCommand,
  coold: cooldCommand,
  'coold doctor': cooldDoctorCommand,
  'coold firewall teardown': teardownCommand,
  'coold scaffold': scaffoldCommand,
  'coold status': cooldStatusCommand,
  'coold support-bundle': supportCommand,
};

/** Programs whose commands are run below, or by the tests named here. */
const isRun = [
  ...['curl', 'alias', 'lane', 'coold', 'broker'],
  ...['openssl'], // below
  ...['npm'], // e2e/quickstart/quickstart.long.test.ts runs the quickstart; running the other commands here would run this test again
  ...['tar', 'install.sh'], // packaging/package.long.test.ts; install.sh --uninstall: e2e/scenarios/install.long.test.ts
  ...['sha256sum'], // packaging/package.long.test.ts
  ...['apt-get'], // e2e/scenarios/deb.long.test.ts installs with dpkg, which apt-get calls and which needs no mirror
  ...['node'], // e2e/scenarios/doctor.long.test.ts runs the doctor of the unpacked archive
  ...['systemctl', 'journalctl'], // e2e/scenarios; their units are checked below
  ...['find'], // packages/coold/src/discovery/faults.long.test.ts empties Corrosion's folder as in troubleshooting.md
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

  it.each(followed)('%s is followed by a scenario', page => {
    const name = page.replace(/^.*\//, '').replace('.md', '');
    const scenarios = files.filter(file => /^e2e\/scenarios\/.*-guide\.long\.test\.ts$/.test(file));
    const texts = scenarios.map(file => readFileSync(join(root, file), 'utf8'));
    expect(
      texts.filter(said => said.includes(`read('${name}')`) || said.includes(`${name}.md'`)),
    ).toHaveLength(1);
  });

  it('have only flags that the programs know', () => {
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

  it('request a certificate with the id of its broker and its address', async () => {
    await using folder = await scratchFolder();
    const said = including('openssl', ' req ');
    expect(said).toHaveLength(1);
    const [program = '', ...args] = said[0]?.command.split(' ') ?? [];
    const key = ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'peer.key'];
    const options = { cwd: folder.path, timeoutMs: 20_000 };
    expect(await runChild(program, key, options)).toMatchObject({ code: 0 });
    expect(await runChild(program, args, options)).toMatchObject({ code: 0, stderr: '' });
    const read = await runChild(program, ['req', '-in', 'peer.csr', '-noout', '-text'], options);
    expect(read.stdout).toMatch(/Subject: CN ?= ?broker-2\b/);
    expect(read.stdout).toContain('IP Address:100.64.0.2');
  });

  it('name only units that are installed', () => {
    const named = including('systemctl').flatMap(({ command }) => command.match(/\S+\.service/g) ?? []);
    expect(named.length).toBeGreaterThan(3);
    expect(named.filter(unit => !files.includes(`systemd/${unit}`))).toEqual([]);
  });
});

describe('the settings of the pages', () => {
  const known = new Set(
    Object.values(described).flatMap(it => [
      ...optionRows(it).map(({ env }) => env),
      ...Object.values(it.otherNames?.names ?? {}).flat(),
    ]),
  );
  const blocks = pages.flatMap(({ page, text: said }) =>
    fencesOf(said)
      .filter(({ language }) => language === 'ini')
      .map(fence => ({ page, variables: parseEnvironmentFile(fence.text) })),
  );

  it.each(blocks)('$page: the programs accept $variables', ({ variables }) => {
    for (const [name, value] of Object.entries(variables)) {
      const option = Object.values(described)
        .flatMap(command => Object.entries(command.options).map(([key, it]) => ({ command, key, it })))
        .find(({ command, key }) =>
          optionRows(command).some(row => row.env === name && matches(row.flag, key)),
        );
      expect(option?.it.type.parse(value), `${name}=${value}`).toBeDefined();
    }
  });

  it('every variable that a page names exists', () => {
    // These pages describe past or future versions.
    const others = ['docs/contract.md', 'CHANGELOG.md'];
    // Variables of the Laravel app, which the PHP client's configuration names.
    const settings = readFileSync(join(root, 'clients/php/config/coold.php'), 'utf8');
    const laravel = new Set([...settings.matchAll(/\benv\('(\w+)'/g)].map(([, name]) => name));
    const strange = pages
      .filter(({ page }) => !others.includes(page))
      .flatMap(({ page, text: said }) =>
        [...said.matchAll(/\b(?:COOLD|BROKER)_[A-Z_]*[A-Z]\b/g)]
          .filter(([name]) => !known.has(name) && !laravel.has(name))
          .map(([name]) => `${page}: ${name}`),
      );
    expect(strange).toEqual([]);
  });

  it('the build request on the page is valid', () => {
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
        { mode: 0o755 },
      );
    stack = cleanup.use(await startStack());
    api = String((await stack.coold.logged(({ msg }) => msg === 'serving the API'))['address']);
    await stack.podman.runTiny('web');
  }, 120_000);
  afterAll(() => cleanup.disposeAsync());

  /** Replaces the paths and addresses of an installed host by those of this test. */
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

  it('streams, and sends input', async () => {
    const [open, input] = ['/v1/coold/stream \\', '/input \\'].map(part => including(part)[0]?.command ?? '');
    // The image of this container has only busybox.
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

  it('requests a build, which no host here makes', async () => {
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

  it('prints the scaffold, applies it and removes it', async () => {
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

/** Whether a flag belongs to an option's key. */
function matches(flag: string, key: string): boolean {
  return flag.replaceAll('-', '') === key.toLowerCase();
}
