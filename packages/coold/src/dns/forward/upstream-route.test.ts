// An upstream behind a network that comes, and on which this host moves to another address: in namespaces. Needs root.
import { join } from 'node:path';
import { type Program, scratchFolder, startDnsmasq, startProgram } from '@coold/testbed';
import { createNetns, joinNetns, type Netns } from '@coold/testbed/netns';
import { afterAll, beforeAll, expect, it } from 'vitest';

const cleanup = new AsyncDisposableStack();
const gateway = '10.210.0.1';
const upstream = '192.0.2.1';
let host: Netns;
let coold: Program;

beforeAll(async () => {
  const folder = cleanup.use(await scratchFolder());
  host = await createNetns();
  cleanup.defer(() => host.close());
  const elsewhere = await createNetns();
  cleanup.defer(() => elsewhere.close());
  await joinNetns(host, 'outside', elsewhere, 'inside');
  await elsewhere.exec('ip', ['address', 'add', `${upstream}/24`, 'dev', 'inside']);
  cleanup.use(
    await startDnsmasq(
      [`--listen-address=${upstream}`, '--host-record=web.example.test,192.0.2.7'],
      elsewhere.pid,
    ),
  );
  await host.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
  await host.exec('ip', ['address', 'add', `${gateway}/32`, 'dev', 'lo']);
  coold = cleanup.use(
    startProgram('coold', {
      inside: host.pid,
      env: {
        COOLD_HOST_MGMT_IP: '100.64.0.7',
        COOLD_PODMAN_SOCKET: join(folder.path, 'podman.sock'),
        COOLD_NAMESPACES: `shop:shop-mesh:${gateway}`,
        COOLD_DNS_UPSTREAM: `${upstream}:53`,
        COOLD_RULES_PATH: join(folder.path, 'allow.rules'),
        COOLD_BRIDGE_RULES_PATH: join(folder.path, 'allow.nft'),
      },
    }),
  );
  await coold.logged(line => line.msg === 'answering DNS', 60_000);
});
afterAll(() => cleanup.disposeAsync());

/** The rcodes of so many questions for a name of the upstream's, one after the other. */
async function ask(count: number): Promise<string[]> {
  const names = Array.from({ length: count }, () => 'web.example.test');
  const { stdout } = await host.exec('dig', [`@${gateway}`, '+time=10', '+tries=1', ...names]);
  return [...stdout.matchAll(/status: (\w+)/g)].map(([, status]) => status ?? '');
}

const address = (action: 'add' | 'delete', at: string) =>
  host.exec('ip', ['address', action, `${at}/24`, 'dev', 'outside']);

it('while no route leads there, each question is answered SERVFAIL; once one does, by the upstream', async () => {
  expect(await ask(3)).toEqual(['SERVFAIL', 'SERVFAIL', 'SERVFAIL']);
  await address('add', '192.0.2.10');
  expect(new Set(await ask(200))).toEqual(new Set(['NOERROR']));
});

it('when this host has another address there, no more questions fail than sockets had the old one', async () => {
  await address('delete', '192.0.2.10');
  await address('add', '192.0.2.11');
  const answers = await ask(200);
  expect(answers.length).toBe(200);
  expect(answers.filter(rcode => rcode !== 'NOERROR').length).toBeLessThanOrEqual(16);
});
