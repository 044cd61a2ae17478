import { expect, test } from 'vitest';
import { createCoolifyCli, readGeneration } from './coolify-cli.ts';

const help = (...commands: string[]) =>
  `Long words.\n\nUsage:\n  coolify init [flags]\n  coolify init [command]\n\nAvailable Commands:\n${commands.map(name => `  ${name.padEnd(12)}What it does\n`).join('')}\nFlags:\n  -y, --yes\n`;

test('the capabilities of a program are read from its help', () => {
  expect(readGeneration(help('apply', 'plan'))).toBe('apply');
  expect(readGeneration(help('bootstrap', 'extend', 'plan', 'upgrade'))).toBe('intents');
  expect(readGeneration(help('plan'))).toBeUndefined();
  // The help of the program itself, which mentions a command by chance.
  expect(
    readGeneration('Usage:\n  coolify [command]\n\nAvailable Commands:\n  apply       Something else\n'),
  ).toBeUndefined();
  expect(readGeneration('')).toBeUndefined();
});

const mesh = {
  servers: ['192.0.2.1', '192.0.2.2'],
  namespaces: ['default', 'alpha'],
  sshKey: '/key',
  version: 'v2',
};
const flow = { namespace: 'alpha', from: 'client', to: 'web', port: 80 };

async function calls(generation: 'apply' | 'intents', answer = ''): Promise<string[]> {
  const seen: string[] = [];
  const cli = createCoolifyCli(async args => {
    seen.push(args.join(' '));
    return { code: 0, stdout: answer, stderr: '' };
  }, generation);
  await cli.bootstrap(mesh);
  await cli.extend(mesh, '192.0.2.2');
  await cli.upgrade(mesh);
  await cli.allow(mesh, flow);
  await cli.revoke(mesh, flow);
  return seen;
}

test('each generation is called with its own commands and names', async () => {
  const init = (command: string, broker: string) =>
    `init ${command} --servers 192.0.2.1,192.0.2.2 --central 192.0.2.1 --namespaces default,alpha --ssh-key /key --yes --coold-version v2 --corrosion-version v2 --${broker}-version v2`;
  const firewall = (command: string) =>
    `firewall ${command} --servers 192.0.2.1,192.0.2.2 --ssh-key /key --namespace alpha --from client --to web --port 80`;
  expect(await calls('apply')).toEqual([
    ...Array.from({ length: 3 }, () => init('apply', 'broker')),
    ...['allow', 'revoke'].map(firewall),
  ]);
  expect(await calls('intents')).toEqual([
    init('bootstrap', 'scheduler'),
    `${init('extend', 'scheduler')} --new-hosts 192.0.2.2`,
    init('upgrade', 'scheduler'),
    ...['allow', 'revoke'].map(firewall),
  ]);
});

test('a list is read, and a host without an answer is an error', async () => {
  const rule = {
    host: '192.0.2.1',
    namespace: 'alpha',
    src: '10.210.1.10',
    dst: '10.210.0.10',
    proto: 'tcp',
    port: 80,
  };
  const answer = JSON.stringify({
    rules: [{ ...rule, id: 'cid:0123456789ab', comment: 'cid:0123456789ab' }],
  });
  const listing = (stdout: string, stderr = '') =>
    createCoolifyCli(async () => ({ code: 0, stdout, stderr }), 'intents').list(mesh, 'alpha');
  expect(await listing(answer)).toMatchObject([{ ...rule, id: '0123456789ab' }]);
  expect(await listing('{"rules":null}')).toEqual([]);
  await expect(listing(answer, 'Warning: 192.0.2.2: no route')).rejects.toThrow('no route');
});

test('the error has the output of a failed program', async () => {
  const cli = createCoolifyCli(
    async () => ({ code: 1, stdout: 'table', stderr: 'Error: phase 2\n  failed\n' }),
    'apply',
  );
  await expect(cli.bootstrap(mesh)).rejects.toThrow('coolify init apply failed (1): Error: phase 2 | failed');
});
