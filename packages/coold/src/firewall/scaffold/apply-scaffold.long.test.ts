// Against the kernel, with packets. Needs root.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LogLine, scratchFolder, startProgram } from '@coold/testbed';
import { createNetns, joinNetns, type Netns } from '@coold/testbed/netns';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at, coold, createScaffoldLab, dropMs, type Lab, passMs } from '../../../test/scaffold-lab.ts';
import { hasBridgeNames } from './apply-scaffold.ts';

/** What a coold keeps for itself, away from one that is installed here. */
const atHome = (folder: string) => ({
  COOLD_UNIX_SOCKET_PATH: join(folder, 'coold.sock'),
  COOLD_RULES_PATH: join(folder, 'allow.rules'),
  COOLD_BRIDGE_RULES_PATH: join(folder, 'allow.nft'),
});

let lab: Lab;
beforeAll(async () => {
  lab = await createScaffoldLab();
}, 60_000);
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

async function everything() {
  return `${await lab.iptables('-S')}${await lab.iptables('-t', 'nat', '-S')}${await lab.nft('list', 'table', 'bridge', 'coolify_bridge')}${await lab.nft('list', 'table', 'inet', 'coolify_guard')}`;
}

beforeEach(() => lab.reset());

test('without it, containers reach each other: what the tests below would see pass', async () => {
  expect(await lab.a1.reach('tcp', at.a2, 80, passMs)).toBe(at.a1);
  expect(await lab.a1.reach('udp', at.a2, 53, passMs)).toBe(at.a1);
  expect(await lab.a1.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
  expect(await lab.peer.reach('tcp', at.a1, 80, passMs)).toBe(at.peer);
});

test('applied twice, the kernel is as after once, and the allow rules stand', async () => {
  await lab.apply();
  await lab.allow(at.a1, at.a2, 'tcp', '80');
  const once = await everything();
  const { stderr } = await lab.apply();
  expect(await everything()).toBe(once);
  expect(stderr).toContain('already');
});

describe('the default deny', () => {
  beforeEach(async () => {
    await lab.apply();
  });

  test('holds within a bridge, between bridges, and for what comes from another host', async () => {
    const denied = await Promise.all([
      lab.a1.reach('tcp', at.a2, 80, dropMs),
      lab.a1.reach('udp', at.a2, 53, dropMs),
      lab.a1.reach('tcp', at.b1, 80, dropMs),
      lab.b1.reach('tcp', at.a1, 80, dropMs),
      lab.peer.reach('tcp', at.a1, 80, dropMs),
    ]);
    expect(denied).toEqual([null, null, null, null, null]);
  });

  test('lets out by the mesh, un-NATed, what another host is to judge, and its replies in', async () => {
    expect(await lab.a1.reach('tcp', at.peer, 80, passMs)).toBe(at.a1);
  });

  test('lets egress out, under the address of the host, and its replies in', async () => {
    expect(await lab.a1.reach('tcp', at.world, 80, passMs)).toBe(at.host);
  });

  test('lets a published port in', async () => {
    await lab.iptables(
      ...['-t', 'nat', '-A', 'PREROUTING', '-d', at.host, '-p', 'tcp', '--dport', '8080'],
      ...['-j', 'DNAT', '--to-destination', `${at.a1}:80`],
    );
    expect(await lab.world.reach('tcp', at.host, 8080, passMs)).toBe(at.world);
    expect(await lab.b1.reach('tcp', at.a1, 80, dropMs)).toBeNull();
  });

  test('holds below a network that comes up later, and its hooks are on top once it is applied again', async () => {
    await lab.bringNetworkUp();
    expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
    await lab.apply();
    expect((await lab.iptables('-S', 'FORWARD')).split('\n').slice(1, 3)).toEqual([
      '-A FORWARD -d 10.210.0.0/16 -j COOLIFY-INTRA',
      '-A FORWARD -j NETAVARK_FORWARD',
    ]);
    expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
  });
});

describe.each(['0', '1'])('an allow rule (bridge-nf-call-iptables=%s)', bridged => {
  beforeEach(async () => {
    await lab.host.exec('sysctl', ['-qw', `net.bridge.bridge-nf-call-iptables=${bridged}`]);
    await lab.apply();
  });

  test('opens exactly its flow within a bridge, replies included', async () => {
    await lab.allow(at.a1, at.a2, 'tcp', '80');
    await lab.allow(at.a1, at.a2, 'udp', '53');
    expect(await lab.a1.reach('tcp', at.a2, 80, passMs)).toBe(at.a1);
    expect(await lab.a1.reach('udp', at.a2, 53, passMs)).toBe(at.a1);
    const denied = await Promise.all([
      lab.a2.reach('tcp', at.a1, 80, dropMs),
      lab.a2.reach('udp', at.a1, 53, dropMs),
      lab.a1.reach('tcp', at.a2, 53, dropMs),
      lab.a1.reach('udp', at.a2, 80, dropMs),
    ]);
    expect(denied).toEqual([null, null, null, null]);
  });

  test('opens exactly its flow between bridges', async () => {
    await lab.allow(at.a1, at.b1, 'tcp', '80');
    expect(await lab.a1.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
    expect(await lab.b1.reach('tcp', at.a1, 80, dropMs)).toBeNull();
    expect(await lab.a2.reach('tcp', at.b1, 80, dropMs)).toBeNull();
  });
});

test.each(['0', '1'])(
  'a rule that is in the chains alone opens nothing (bridge-nf-call-iptables=%s)',
  async bridged => {
    await lab.host.exec('sysctl', ['-qw', `net.bridge.bridge-nf-call-iptables=${bridged}`]);
    await lab.apply();
    await lab.nft('add rule bridge coolify_bridge coolify_allow counter accept');
    await lab.iptables('-A', 'COOLIFY-ALLOW', '-j', 'ACCEPT');
    const denied = await Promise.all([
      lab.a1.reach('tcp', at.a2, 80, dropMs),
      lab.a1.reach('udp', at.a2, 53, dropMs),
      lab.a1.reach('tcp', at.b1, 80, dropMs),
      lab.peer.reach('tcp', at.a1, 80, dropMs),
    ]);
    expect(denied).toEqual([null, null, null, null]);
    expect(await lab.nft('list chain bridge coolify_bridge coolify_allow')).not.toContain('packets 0 ');
    // What the sets allow passes beside it.
    await lab.allow(at.a1, at.a2, 'tcp', '80');
    expect(await lab.a1.reach('tcp', at.a2, 80, passMs)).toBe(at.a1);
    expect(await lab.a1.reach('udp', at.a2, 53, dropMs)).toBeNull();
  },
);

test('an allow rule opens exactly its flow across hosts, without NAT', async () => {
  await lab.apply();
  await lab.allow(at.peer, at.a1, 'tcp', '80');
  expect(await lab.peer.reach('tcp', at.a1, 80, passMs)).toBe(at.peer);
  expect(await lab.peer.reach('tcp', at.a2, 80, dropMs)).toBeNull();
  expect(await lab.peer.reach('tcp', at.a1, 53, dropMs)).toBeNull();
});

test.each(['0', '1'])(
  'a joined subnet is denied as the others are (bridge-nf-call-iptables=%s)',
  async bridged => {
    await lab.host.exec('sysctl', ['-qw', `net.bridge.bridge-nf-call-iptables=${bridged}`]);
    await using folder = await scratchFolder();
    const joinedPath = join(folder.path, 'joined.subnets');
    const onlyA = {
      ...lab.env,
      COOLD_SCAFFOLD_SUBNETS: '10.210.0.0/24',
      COOLD_SCAFFOLD_POOLS: '10.210.0.0/24',
    };
    const applyWith = (mayFail = false) =>
      lab.host.exec(process.execPath, [coold, 'scaffold', '--apply', '--joined-path', joinedPath], {
        env: onlyA,
        mayFail,
      });
    await applyWith();
    expect(await lab.b1.reach('tcp', at.world, 80, passMs)).not.toBeNull();
    expect(await lab.a1.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
    await writeFile(joinedPath, '10.210.1.0/24\n');
    await applyWith();
    expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
    await lab.allow(at.a1, at.b1, 'tcp', '80');
    expect(await lab.a1.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
    expect(await lab.a2.reach('tcp', at.b1, 80, dropMs)).toBeNull();
    const once = await everything();
    await applyWith();
    expect(await everything()).toBe(once);
    // A damaged line keeps nothing else from being denied, and systemd is told.
    await writeFile(joinedPath, '10.210.1.0/24\nnonsense\n');
    const { code, stderr } = await applyWith(true);
    expect([code, stderr]).toEqual([1, expect.stringContaining('line 2: expected')]);
    expect(await everything()).toBe(once);
  },
);

const linkLocalOf = async (ns: Netns) => {
  const { stdout } = await ns.exec('ip', ['-6', '-j', 'addr', 'show', 'dev', 'eth0', 'scope', 'link']);
  return `${/fe80:[0-9a-f:]+/.exec(stdout)?.[0]}%eth0`;
};

test('the link-local IPv6 addresses of containers do not bypass it', async () => {
  const address = await linkLocalOf(lab.a2);
  expect(await lab.a1.reach('tcp', address, 80, passMs)).not.toBeNull();
  await lab.apply();
  await lab.allow(at.a1, at.a2, 'tcp', '80');
  expect(await lab.a1.reach('tcp', address, 80, dropMs)).toBeNull();
  expect(await lab.a1.reach('tcp', at.a2, 80, passMs)).toBe(at.a1);
});

test.runIf(await hasBridgeNames())('on a bridge of the operator’s own IPv6 is left alone', async () => {
  await using cleanup = new AsyncDisposableStack();
  const machines = await Promise.all([createNetns(), createNetns([80])]);
  const [one, other] = machines;
  for (const machine of machines) cleanup.defer(() => machine.close());
  await lab.host.exec('ip', ['link', 'add', 'br-own', 'type', 'bridge']);
  cleanup.defer(async () => void (await lab.host.exec('ip', ['link', 'del', 'br-own'])));
  await lab.host.exec('ip', ['link', 'set', 'br-own', 'up']);
  for (const [index, machine] of machines.entries()) {
    await joinNetns(lab.host, `own${index}`, machine, 'eth0');
    await lab.host.exec('ip', ['link', 'set', `own${index}`, 'master', 'br-own']);
  }
  await lab.apply();
  await soon(
    async () => expect(await one.reach('tcp', await linkLocalOf(other), 80, dropMs)).not.toBeNull(),
    { timeout: passMs },
  );
});

test('a UDP packet that was denied opens no way back', async () => {
  await lab.host.exec('sysctl', ['-qw', 'net.bridge.bridge-nf-call-iptables=0']);
  await lab.apply();
  await lab.allow(at.a1, at.a2, 'udp', '53');
  expect(await lab.a2.reach('udp', at.a1, 53, dropMs)).toBeNull();
  expect(await lab.nft('list', 'set', 'bridge', 'coolify_bridge', 'coolify_replies')).not.toContain(
    'elements',
  );
});

test('a program that is missing is named, in one line', async () => {
  const args = ['PATH=/nonexistent', process.execPath, coold, 'scaffold', '--apply'];
  const { code, stderr } = await lab.host.exec('env', args, { env: lab.env, mayFail: true });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^coold scaffold: .*iptables.*nft.*\n$/);
});

test('coold lifts the hooks again when a network that comes up is put above them', async () => {
  await lab.apply();
  expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
  await lab.bringNetworkUp();
  expect(await lab.a1.reach('tcp', at.b1, 80, dropMs), 'what the guard is for').toBeNull();
  await using folder = await scratchFolder();
  const token = join(folder.path, 'api-token');
  await writeFile(token, 'token', { mode: 0o600 });
  const api = { COOLD_API_BIND: '127.0.0.1:0', COOLD_API_TOKEN_FILE: token };
  await using running = startProgram('coold', {
    inside: lab.host.pid,
    env: { COOLD_HOST_MGMT_IP: '100.64.0.1', ...api, ...atHome(folder.path) },
  });
  const lifted = (line: LogLine) => String(line.msg).endsWith('its hooks are on top again');
  await running.logged(lifted);
  expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
  // And again while it runs, told by the kernel, well before it would look by itself.
  const seen = running.lines.length;
  await lab.bringNetworkUp();
  await running.logged(line => lifted(line) && running.lines.indexOf(line) >= seen, 2000);
  expect(await lab.a1.reach('tcp', at.b1, 80, dropMs)).toBeNull();
});

test('coold reports when no hook leads to the default deny any more', async () => {
  await lab.apply();
  await using folder = await scratchFolder();
  await using running = startProgram('coold', {
    inside: lab.host.pid,
    env: { COOLD_HOST_MGMT_IP: '100.64.0.1', ...atHome(folder.path) },
  });
  await running.logged(line => line.msg === 'starting');
  await lab.iptables('-F', 'FORWARD');
  await running.logged(line => String(line.msg).startsWith('FORWARD does not lead to the default deny'));
});

test('an operator’s rule of the form of ours, for another network, stays', async () => {
  const theirs = ['POSTROUTING', '-s', '192.168.5.0/24', '-o', 'wg0', '-j', 'RETURN'];
  await lab.iptables('-t', 'nat', '-A', ...theirs);
  await lab.apply();
  await lab.apply();
  await lab.iptables('-t', 'nat', '-C', ...theirs);
});
