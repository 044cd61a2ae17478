// A listener whose bridge comes and goes, and whose port others want: in a network namespace of its own. Needs root.
import { join } from 'node:path';
import { type Program, programs, scratchFolder, startDnsmasq, startProgram } from '@coold/testbed';
import { createNetns, joinNetns, type Netns } from '@coold/testbed/netns';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const cleanup = new AsyncDisposableStack();
let netns: Netns;
let coold: Program;
const shop = '10.210.0.1';
const blog = '10.211.0.1';

beforeAll(async () => {
  const folder = cleanup.use(await scratchFolder());
  netns = await createNetns();
  cleanup.defer(() => netns.close());
  await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
  await bridge('shop', shop);
  coold = cleanup.use(
    startProgram('coold', {
      inside: netns.pid,
      env: {
        COOLD_HOST_MGMT_IP: '100.64.0.7',
        COOLD_PODMAN_SOCKET: join(folder.path, 'podman.sock'),
        COOLD_NAMESPACES: `shop:shop-mesh:${shop},blog:blog-mesh:${blog},mute:mute-mesh:0.0.0.0`,
        COOLD_DNS_UPSTREAM: '10.210.0.99:53',
        COOLD_DNS_THREADS: '2',
        COOLD_RULES_PATH: join(folder.path, 'allow.rules'),
        COOLD_BRIDGE_RULES_PATH: join(folder.path, 'allow.nft'),
      },
    }),
  );
});
afterAll(() => cleanup.disposeAsync());

/** What a container that starts brings to a bridge. */
async function addPort(to: string, mac: string): Promise<void> {
  const name = `port-${to}`;
  await netns.exec('ip', ['link', 'add', name, 'address', mac, 'type', 'veth', 'peer', 'name', `${name}-in`]);
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
async function dig(address: string, transport: '+tcp' | '+notcp' = '+notcp'): Promise<string> {
  const args = [`@${address}`, '+time=5', '+tries=3', transport, 'coolify.internal'];
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
const notAnswered = 'DNS is not answered here; trying again';
const failing = (address: string, from = 0) => saying(notAnswered, address, from);

describe('a listener', () => {
  it('answers on its gateway alone, and says what is missing where there is none yet', async () => {
    await answering(shop);
    expect(await failing(blog)).toMatchObject({
      reason: 'no interface has the address: its bridge is not up',
    });
    for (const transport of ['+tcp', '+notcp'] as const) expect(await dig(shop, transport)).toBe('NOERROR');
    // Over TCP, and for each of its threads over UDP.
    expect(await bound()).toEqual([`${shop}:53`, `${shop}:53`, `${shop}:53`]);
  });

  it('answers as soon as the bridge is there', async () => {
    await bridge('blog', blog);
    await answering(blog);
    expect(await dig(blog)).toBe('NOERROR');
  });

  it('keeps the link address that its clients know, whichever container comes', async () => {
    const before = await macOf('blog');
    await addPort('blog', '02:00:00:00:00:01');
    expect(await macOf('blog')).toBe(before);
  });

  it('notices that its bridge is gone, while the others serve, and answers when it is back', async () => {
    const from = coold.lines.length;
    await netns.exec('ip', ['link', 'delete', 'blog']);
    expect(await failing(blog, from)).toMatchObject({
      reason: 'no interface has the address: its bridge is not up',
    });
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
    await netns.exec('ip', ['link', 'delete', 'blog']);
    const from = coold.lines.length;
    await failing(blog, from);
    await soon(async () => expect(await bound()).not.toContain(`${blog}:53`));
    // So that the other is there first.
    coold.signal('SIGSTOP');
    await bridge('blog', blog);
    const dnsmasq = await startDnsmasq(
      ['--port=53', `--listen-address=${blog}`, '--except-interface=lo'],
      netns.pid,
    );
    const between = coold.lines.length;
    coold.signal('SIGCONT');
    expect(await failing(blog, between)).toMatchObject({
      reason: expect.stringMatching(
        /^the port is taken; in the way: dnsmasq \(pid \d+\) on udp 10\.211\.0\.1: give it bind-interfaces.*; dnsmasq \(pid \d+\) on tcp /,
      ),
    });
    const freed = coold.lines.length;
    await dnsmasq[Symbol.asyncDispose]();
    await answering(blog, freed);
  }, 180_000);

  it('lets coold end in good order', async () => {
    coold.signal('SIGTERM');
    expect(await coold.exited).toEqual({ code: 0, signal: null });
  });
});
