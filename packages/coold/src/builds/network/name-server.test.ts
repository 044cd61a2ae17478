// On addresses of loopback, over a real resolver.
import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { scratchFolder, startDnsmasq } from '@coold/testbed';
import { expect, it } from 'vitest';
import { startNameServer } from './name-server.ts';

const net = `127.${randomInt(1, 255)}.${randomInt(1, 255)}`;
const [gateway, resolver, silent] = [`${net}.1`, `${net}.2`, `${net}.3`];

async function setUp(resolvConf: string) {
  await using cleanup = new AsyncDisposableStack();
  const { path } = cleanup.use(await scratchFolder());
  const names = ['git.example.org', 'web.shop.coolify.internal', 'coolify.internal'];
  const records = names.map(name => `--host-record=${name},192.0.2.7`);
  const reverse = '--ptr-record=5.0.210.10.in-addr.arpa,db.shop.coolify.internal';
  const outside = '--ptr-record=7.2.0.192.in-addr.arpa,git.example.org';
  cleanup.use(
    await startDnsmasq([`--listen-address=${resolver}`, '--port=53', ...records, reverse, outside]),
  );
  const file = join(path, 'resolv.conf');
  await writeFile(file, resolvConf);
  const upstreams = [{ host: resolver, port: 53 }];
  const server = await startNameServer({ gateway, zone: 'coolify.internal', upstreams, resolvConf: file });
  cleanup.defer(() => server.close());
  const rest = cleanup.move();
  return {
    server,
    write: (text: string) => writeFile(file, text),
    /** The answers, and what the code was. */
    async ask(...question: string[]) {
      const options = ['+time=8', '+tries=1', '+noall', '+answer', '+comments'];
      const args = [`@${gateway}`, '-p', String(server.port), ...options, ...question];
      const { stdout } = await runChild('dig', args, { timeoutMs: 20_000 });
      const answers = stdout.split('\n').filter(line => line !== '' && !line.startsWith(';'));
      return [/status: (\w+)/.exec(stdout)?.[1], ...answers.map(line => line.split(/\s+/).at(-1))];
    },
    [Symbol.asyncDispose]: () => rest[Symbol.asyncDispose](),
  };
}

it("answers what the host's resolver knows, over UDP and TCP", async () => {
  await using t = await setUp(`nameserver ${resolver}\n`);
  expect(await t.ask('git.example.org')).toEqual(['NOERROR', '192.0.2.7']);
  expect(await t.ask('+tcp', 'git.example.org')).toEqual(['NOERROR', '192.0.2.7']);
  expect(await t.ask('-x', '192.0.2.7')).toEqual(['NOERROR', 'git.example.org.']);
});

it('answers that no name of the mesh exists, regardless of the resolver', async () => {
  await using t = await setUp(`nameserver ${resolver}\n`);
  for (const name of ['web.shop.coolify.internal', 'WEB.Shop.Coolify.Internal', 'coolify.internal'])
    expect(await t.ask(name)).toEqual(['NXDOMAIN']);
  expect(await t.ask('-x', '10.210.0.5')).toEqual(['NXDOMAIN']);
});

it('asks the next resolver where one does not answer, and the configured one where the host has none', async () => {
  await using t = await setUp(`nameserver ${silent}\nnameserver ${resolver}\n`);
  expect(await t.ask('git.example.org')).toEqual(['NOERROR', '192.0.2.7']);
  await t.write('');
  await t.server.refresh();
  expect(await t.ask('git.example.org')).toEqual(['NOERROR', '192.0.2.7']);
  await t.write(`nameserver ${silent}\n`);
  await t.server.refresh();
  expect(await t.ask('git.example.org')).toEqual(['SERVFAIL']);
});
