// A listener whose bridge comes and goes, and whose port others want: in a network namespace of its own. Needs root.
import { join } from 'node:path';
import { type Program, programs, scratchFolder, startDnsmasq, startProgram } from '@coold/testbed';
import { createNetns, joinNetns, type Netns } from '@coold/testbed/netns';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const cleanup = new AsyncDisposableStack();
let netns: Netns;
let coold: Program;
let folder: string;
const shop = '10.210.0.1';
const blog = '10.211.0.1';

beforeAll(async () => {
  const scratch = cleanup.use(await scratchFolder());
  netns = await createNetns();
  cleanup.defer(() => netns.close());
  await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
  await bridge('shop', shop);
  folder = scratch.path;
  coold = start();
});
afterAll(() => cleanup.disposeAsync());

function start(env: Record<string, string> = {}): Program {
  return cleanup.use(
    startProgram('coold', {
      inside: netns.pid,
      env: {
        COOLD_HOST_MGMT_IP: '100.64.0.7',
        COOLD_PODMAN_SOCKET: join(folder, 'podman.sock'),
        COOLD_NAMESPACES: `shop:shop-mesh:${shop},blog:blog-mesh:${blog},mute:mute-mesh:0.0.0.0`,
        COOLD_DNS_UPSTREAM: '10.210.0.99:53',
        COOLD_DNS_THREADS: '2',
        COOLD_RULES_PATH: join(folder, 'allow.rules'),
        COOLD_BRIDGE_RULES_PATH: join(folder, 'allow.nft'),
        ...env,
      },
    }),
  );
}

/** What a container that starts brings to a bridge. */
async function addPort(to: string, mac: string): Promise<void> {
  const name = `port-${to}`;
  await netns.exec('ip', ['link', 'add', name, 'address', mac, 'type', 'veth', 'peer', 'name', `${name}-in`]);
  await netns.exec('ip', ['link', 'set', `${name}-in`, 'up']);
  await netns.exec('ip', ['link', 'set', name, 'master', to, 'up']);
}

async function macOf(name: string): Promise<string> {
  const { stdout } = await netns.exec('ip', ['-json', 'link', 'show', 'dev', name]);
  return (JSON.parse(stdout) as { address: string }[])[0]?.address ?? '';
}

async function bridge(name: string, address: string): Promise<void> {
  await netns.exec('ip', ['link', 'add', name, 'type', 'bridge']);
  await netns.exec('ip', ['address', 'add', `${address}/24`, 'dev', name]);
  await netns.exec('ip', ['link', 'set', name, 'up']);
}

/** The rcode of the apex, which needs nobody but coold. */
async function dig(address: string, transport: '+tcp' | '+notcp' = '+notcp', tries = 3): Promise<string> {
  const args = [`@${address}`, '+time=5', `+tries=${tries}`, transport, 'coolify.internal'];
  const { stdout } = await netns.exec('dig', args, { mayFail: true });
  return /status: (\w+)/.exec(stdout)?.[1] ?? 'silence';
}

/** Where something listens on port 53. */
async function bound(): Promise<string[]> {
  const { stdout } = await netns.exec('ss', ['-lntuH']);
  return stdout
    .split('\n')
    .flatMap(line => line.split(/\s+/)[4] ?? [])
    .filter(address => address.endsWith(':53'));
}

const saying = (msg: string, address: string, from = 0) =>
  coold.logged(
    line => coold.lines.indexOf(line) >= from && line.msg === msg && line['address'] === `${address}:53`,
    60_000,
  );
const answering = (address: string, from = 0) => saying('answering DNS', address, from);
/** Its sockets are there, and its bridge is not. */
const ready = (address: string, from = 0) =>
  saying('DNS is ready here, and will be answered once the bridge is up', address, from);
const notAnswered = 'DNS is not answered here; trying again';
const failing = (address: string, from = 0) => saying(notAnswered, address, from);

describe('a listener', () => {
  it('answers on its gateways only, and opens its sockets before the bridge exists', async () => {
    await answering(shop);
    await ready(blog);
    for (const transport of ['+tcp', '+notcp'] as const) expect(await dig(shop, transport)).toBe('NOERROR');
    // Over TCP, and for each of its threads over UDP.
    const each = (address: string) => Array<string>(3).fill(`${address}:53`);
    expect((await bound()).toSorted()).toEqual([...each(shop), ...each(blog)]);
  });

  it('answers the first question on a bridge that has just come up, twenty times', async () => {
    for (let round = 0; round < 20; round += 1) {
      if (round > 0) await netns.exec('ip', ['link', 'delete', 'blog']);
      await bridge('blog', blog);
      const transport = round % 2 === 0 ? '+notcp' : '+tcp';
      expect(await dig(blog, transport, 1), `${transport}, round ${round}`).toBe('NOERROR');
    }
    await answering(blog);
  });

  it('keeps the link address that its clients know, whichever container comes', async () => {
    // 3: it was set, and is not the lowest of its ports any more.
    const assigned = ['/sys/class/net/blog/addr_assign_type'];
    await netns.exec('mount', ['-t', 'sysfs', 'sysfs', '/sys']);
    await soon(async () => expect((await netns.exec('cat', assigned)).stdout).toBe('3\n'));
    const before = await macOf('blog');
    await addPort('blog', '02:00:00:00:00:01');
    expect(await macOf('blog')).toBe(before);
  });

  it('notices that its bridge is gone, while the others serve, and answers when it is back', async () => {
    const from = coold.lines.length;
    await netns.exec('ip', ['link', 'delete', 'blog']);
    await ready(blog, from);
    expect(await bound()).toContain(`${blog}:53`);
    expect(await dig(shop)).toBe('NOERROR');
    await bridge('blog', blog);
    await answering(blog, from);
    for (const transport of ['+tcp', '+notcp'] as const) expect(await dig(blog, transport)).toBe('NOERROR');
  }, 120_000);

  it('notices that something else answers in its place, and recovers when that ends', async () => {
    const from = coold.lines.length;
    const dnsmasq = await startDnsmasq(['--port=5399', `--listen-address=${shop}`], netns.pid);
    const redirect = [
      'OUTPUT',
      '-d',
      shop,
      '-p',
      'udp',
      '--dport',
      '53',
      '-j',
      'DNAT',
      '--to-destination',
      `${shop}:5399`,
    ];
    await netns.exec('iptables', ['-t', 'nat', '-A', ...redirect]);
    expect(await failing(shop, from)).toMatchObject({
      reason: expect.stringMatching(/^something else answers over udp/),
    });
    expect(await dig(blog)).toBe('NOERROR');
    const recovered = coold.lines.length;
    await netns.exec('iptables', ['-t', 'nat', '-D', ...redirect]);
    await answering(shop, recovered);
    expect(await dig(shop)).toBe('NOERROR');
    await dnsmasq[Symbol.asyncDispose]();
  }, 120_000);

  it('notices that it is deaf', async () => {
    const from = coold.lines.length;
    const drop = ['INPUT', '-d', shop, '-p', 'tcp', '--dport', '53', '-j', 'DROP'];
    await netns.exec('iptables', ['-A', ...drop]);
    expect(await failing(shop, from)).toMatchObject({
      reason: expect.stringMatching(/^deaf over tcp: no answer within/),
    });
    const recovered = coold.lines.length;
    await netns.exec('iptables', ['-D', ...drop]);
    await answering(shop, recovered);
  }, 120_000);

  it('notices that what containers ask does not arrive, though what it asks itself does', async () => {
    const client = await createNetns();
    await joinNetns(netns, 'client', client, 'eth0');
    await netns.exec('ip', ['link', 'set', 'client', 'master', 'shop']);
    await client.exec('ip', ['address', 'add', '10.210.0.2/24', 'dev', 'eth0']);
    const scaffold = ['--subnets', '10.210.0.0/24', '--pools', '10.210.0.0/24'];
    await netns.exec(process.execPath, [programs.coold, 'scaffold', '--apply', ...scaffold]);
    const ask = async (): Promise<boolean> => {
      const args = [`@${shop}`, '+time=1', '+tries=1', 'coolify.internal'];
      return (await client.exec('dig', args, { mayFail: true })).code === 0;
    };
    // As ufw does: nothing comes in but by the loopback, and what the scaffold lets in.
    const filter = (...args: string[]) => netns.exec('iptables', args);
    await filter('-P', 'INPUT', 'DROP');
    await filter('-A', 'INPUT', '-i', 'lo', '-j', 'ACCEPT');
    try {
      expect(await ask()).toBe(true);
      const from = coold.lines.length;
      await filter('-D', 'INPUT', '1');
      await filter('-D', 'INPUT', '1');
      const asking = soon(async () => {
        await ask();
        expect(coold.lines.slice(from).some(line => line.msg === notAnswered)).toBe(true);
      });
      expect(await failing(shop, from)).toMatchObject({
        reason: expect.stringMatching(
          /^of \d+ packets that containers sent it last, 0 arrived: .*restart coolify-mesh-fw/,
        ),
      });
      await asking;
      const recovered = coold.lines.length;
      await filter('-P', 'INPUT', 'ACCEPT');
      await soon(async () => expect(await ask()).toBe(true));
      await answering(shop, recovered);
    } finally {
      await filter('-P', 'INPUT', 'ACCEPT');
      await filter('-F', 'INPUT');
      await netns.exec('nft', ['flush', 'ruleset']);
      await client.close();
    }
  }, 120_000);

  it('names who holds its port, and takes it once it is free', async () => {
    coold.signal('SIGTERM');
    expect(await coold.exited).toEqual({ code: 0, signal: null });
    const dnsmasq = await startDnsmasq(
      ['--port=53', `--listen-address=${blog}`, '--except-interface=lo'],
      netns.pid,
    );
    coold = start();
    expect(await failing(blog)).toMatchObject({
      reason: expect.stringMatching(
        /^the port is taken; in the way: dnsmasq \(pid \d+\) on udp 10\.211\.0\.1: give it bind-interfaces.*; dnsmasq \(pid \d+\) on tcp /,
      ),
    });
    await soon(async () => expect(await dig(shop)).toBe('NOERROR'));
    const freed = coold.lines.length;
    await dnsmasq[Symbol.asyncDispose]();
    await answering(blog, freed);
  }, 180_000);

  it('lets coold end in good order', async () => {
    coold.signal('SIGTERM');
    expect(await coold.exited).toEqual({ code: 0, signal: null });
  });

  it("that only has Node's sockets answers as soon as the bridge exists, and keeps them when it goes", async () => {
    await netns.exec('ip', ['link', 'delete', 'blog'], { mayFail: true });
    coold = start({ COOLD_DNS_IO: 'node' });
    expect(await failing(blog)).toMatchObject({
      reason: 'no interface has the address: its bridge is not up',
    });
    await bridge('blog', blog);
    await answering(blog);
    for (const transport of ['+tcp', '+notcp'] as const) expect(await dig(blog, transport)).toBe('NOERROR');
    const from = coold.lines.length;
    await netns.exec('ip', ['link', 'delete', 'blog']);
    await ready(blog, from);
    await bridge('blog', blog);
    expect(await dig(blog, '+notcp', 1)).toBe('NOERROR');
    coold.signal('SIGTERM');
    expect(await coold.exited).toEqual({ code: 0, signal: null });
  }, 60_000);
});
