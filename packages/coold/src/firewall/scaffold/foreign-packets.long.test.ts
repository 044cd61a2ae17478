// coold on a host whose scaffold is that of `coolify init`: with packets, on both variants of iptables. Needs root.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  foreignBridge,
  foreignPermissiveScript,
  foreignUnitScript,
  type LogLine,
  type Program,
  scratchFolder,
  startProgram,
} from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at, createScaffoldLab, dropMs, type Lab, passMs } from '../../../test/scaffold-lab.ts';
import { hasBridgeConntrack } from './apply-scaffold.ts';

const subnets = ['10.210.0.0/24', '10.210.1.0/24'];

/** Sends datagrams of one flow, one each 50 ms. Arguments: address, port, how many. */
const datagrams = `
const socket = require('node:dgram').createSocket('udp4');
const [address, port, count] = process.argv.slice(1);
let sent = 0;
setInterval(() => {
  if (sent === Number(count)) process.exit();
  sent += 1;
  socket.send('?', Number(port), address, () => {});
}, 50);
`;

interface Coold extends AsyncDisposable {
  program: Program;
  ask(method: string, path: string, body?: object): Promise<unknown>;
  allow(src: string, dst: string, port: number, proto?: string): Promise<string>;
}

describe.each(['nft', 'legacy'] as const)("coolify init's scaffold beside iptables-%s", backend => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createScaffoldLab(backend);
  }, 60_000);
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });
  /** What is /etc/coolify on a host. */
  let etc: string;
  beforeEach(async () => {
    const folder = await scratchFolder();
    etc = folder.path;
    await writeFile(join(etc, 'api-token'), 'token', { mode: 0o600 });
    await writeFile(join(etc, 'bridge-fw.nft'), foreignBridge(subnets, await hasBridgeConntrack()));
    await lab.reset();
    return () => folder[Symbol.asyncDispose]();
  });

  const script = (text: string) => lab.host.exec('sh', ['-ec', text], { env: lab.env });
  const snapshots = () => ({ iptables: join(etc, 'allow.rules'), nft: join(etc, 'allow.nft') });
  /** The CLI's unit, started or restarted. */
  const startUnit = () => script(foreignUnitScript(subnets, join(etc, 'bridge-fw.nft'), snapshots()));
  /** What the CLI does to its own file and by its unit when it wants no default deny any more. */
  async function switchOff() {
    await rm(join(etc, 'bridge-fw.nft'));
    await script(foreignPermissiveScript(subnets));
  }

  /** @param meshEnv what mesh.env names; nothing: there is no such file, as on hosts of the CLI */
  async function startCoold(meshEnv: Record<string, string> = {}): Promise<Coold> {
    const lines = Object.entries(meshEnv).map(([name, value]) => `${name}=${value}\n`);
    if (lines.length > 0) await writeFile(join(etc, 'mesh.env'), lines.join(''));
    const program = startProgram('coold', {
      inside: lab.host.pid,
      env: {
        PATH: lab.env['PATH'] ?? '',
        COOLD_HOST_MGMT_IP: at.mgmt,
        COOLD_API_BIND: '127.0.0.1:8444',
        COOLD_API_TOKEN_FILE: join(etc, 'api-token'),
        COOLD_UNIX_SOCKET_PATH: join(etc, 'coold.sock'),
        COOLD_RULES_PATH: snapshots().iptables,
        COOLD_BRIDGE_RULES_PATH: snapshots().nft,
        COOLD_MESH_ENV: join(etc, 'mesh.env'),
      },
    });
    await program.logged((line: LogLine) => line.msg === 'the firewall is read');
    const ask = async (method: string, path: string, body?: object) => {
      const args = ['-sS', '-X', method, '-H', 'authorization: Bearer token'];
      if (body !== undefined) args.push('-H', 'content-type: application/json', '-d', JSON.stringify(body));
      const { stdout } = await lab.host.exec('curl', [
        ...args,
        `http://127.0.0.1:8444/api/v1/firewall/${path}`,
      ]);
      return stdout === '' ? undefined : (JSON.parse(stdout) as unknown);
    };
    return {
      program,
      ask,
      async allow(src, dst, port, proto = 'tcp') {
        const rule = await ask('POST', 'allow', { src, dst, proto, port });
        return String((rule as { id?: unknown }).id);
      },
      [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
    };
  }

  const denied = () => [
    lab.a1.reach('tcp', at.a2, 80, dropMs),
    lab.a1.reach('tcp', at.b1, 80, dropMs),
    lab.b1.reach('udp', at.a1, 53, dropMs),
    lab.plain.reach('tcp', at.a1, 80, dropMs),
    lab.peer.reach('tcp', at.a1, 80, dropMs),
  ];
  async function expectWorking() {
    expect(await Promise.all(denied())).toEqual([null, null, null, null, null]);
    // One rule, on the host of the destination.
    expect(await lab.peer.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
    expect(await lab.a2.reach('tcp', at.a1, 80, passMs)).toBe(at.a2);
    expect(await lab.a2.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
    // Another host judges that, and lets it pass.
    expect(await lab.a1.reach('tcp', at.peer, 80, passMs)).toBe(at.a1);
    expect(await lab.a1.reach('tcp', at.world, 80, passMs)).toBe(at.host);
    expect(await lab.world.reach('tcp', at.host, 8080, passMs)).not.toBeNull();
  }
  const publish = () =>
    lab.iptables(
      ...['-t', 'nat', '-A', 'PREROUTING', '-d', at.host, '-p', 'tcp', '--dport', '8080'],
      ...['-j', 'DNAT', '--to-destination', `${at.a1}:80`],
    );
  /** As netavark by nftables leaves it: nothing of it is in iptables. */
  async function withoutNetavark() {
    await lab.iptables('-F', 'NETAVARK_FORWARD');
    await lab.iptables('-D', 'FORWARD', '-j', 'NETAVARK_FORWARD');
  }
  async function allowAll(coold: Coold) {
    await coold.allow(at.peer, at.b1, 80);
    await coold.allow(at.a2, at.a1, 80);
    await coold.allow(at.a2, at.b1, 80);
  }
  const settled = (coold: Coold, expected: object) =>
    soon(async () => expect(await coold.ask('GET', 'status')).toMatchObject(expected), { timeout: 10_000 });

  test.each(['above the hooks', 'in nftables'])(
    'denied, allowed, answered, published and on its way out: all as it should be with netavark %s',
    async netavark => {
      if (netavark === 'in nftables') await withoutNetavark();
      await publish();
      await startUnit();
      await using coold = await startCoold();
      await allowAll(coold);
      await soon(expectWorking, { timeout: 20_000 });
      await settled(coold, {
        mode: 'enforcing',
        foreign: [],
        rules: { model: 3, iptables: 3, nft: 3, guard: 3 },
      });
      // Its unit is restarted, and a network comes up.
      await startUnit();
      if (netavark === 'above the hooks') await lab.bringNetworkUp();
      await soon(expectWorking, { timeout: 20_000 });
      await settled(coold, { mode: 'enforcing', rules: { model: 3, iptables: 3, nft: 3, guard: 3 } });
    },
    120_000,
  );

  test('a coold that starts before that unit leaves what the unit puts in working', async () => {
    await publish();
    await using coold = await startCoold();
    await startUnit();
    await allowAll(coold);
    await lab.bringNetworkUp();
    await soon(expectWorking, { timeout: 20_000 });
    await settled(coold, { mode: 'enforcing' });
  }, 120_000);

  test('what its unit leaves while coold is stopped still denies and lets out', async () => {
    await publish();
    await startUnit();
    {
      await using coold = await startCoold();
      await allowAll(coold);
      await soon(expectWorking, { timeout: 20_000 });
    }
    await startUnit();
    await lab.bringNetworkUp();
    await expectWorking();
  }, 120_000);

  test('a revoke ends what was open, though that scaffold lets pass what is established', async () => {
    await startUnit();
    await using coold = await startCoold();
    const id = await coold.allow(at.peer, at.b1, 53, 'udp');
    await settled(coold, { mode: 'enforcing', rules: { guard: 1 } });
    const seen = await lab.count(lab.b1, 'udp dport 53');
    const sending = lab.peer.exec(process.execPath, ['-e', datagrams, at.b1, '53', '200']);
    await soon(async () => expect(await seen()).toBeGreaterThan(5), { timeout: passMs });
    await coold.ask('DELETE', `allow/${id}`);
    const then = await seen();
    await sending;
    expect(await seen()).toBe(then);
    expect(then, 'most were sent after it').toBeLessThan(150);
  }, 120_000);

  test('a unit that restarts next to the scaffold of mesh.env changes nothing for long', async () => {
    await publish();
    await lab.apply();
    await using coold = await startCoold({
      COOLD_SCAFFOLD_SUBNETS: lab.env['COOLD_SCAFFOLD_SUBNETS'] ?? '',
      COOLD_SCAFFOLD_POOLS: lab.env['COOLD_SCAFFOLD_POOLS'] ?? '',
    });
    await allowAll(coold);
    await startUnit();
    await soon(expectWorking, { timeout: 20_000 });
    await settled(coold, { mode: 'enforcing', rules: { model: 3, iptables: 3, nft: 3, guard: 3 } });
    const forward = await lab.iptables('-S', 'FORWARD');
    expect(forward).toContain('-A FORWARD -d 10.210.0.0/16 -j COOLIFY-INTRA');
    expect(forward).not.toMatch(/-s \S+ -j COOLIFY-INTRA|coolify-published/);
  }, 120_000);

  test('the hook of a pool that a scaffold of ours has left keeps nothing from another host', async () => {
    await publish();
    await lab.iptables('-N', 'COOLIFY-INTRA');
    await lab.iptables('-I', 'FORWARD', '1', '-d', '10.210.0.0/16', '-j', 'COOLIFY-INTRA');
    await startUnit();
    await using coold = await startCoold();
    await allowAll(coold);
    await soon(expectWorking, { timeout: 20_000 });
    await soon(async () => expect(await lab.iptables('-S', 'FORWARD')).not.toContain('10.210.0.0/16'));
    await settled(coold, { mode: 'enforcing', deny_repairs: 0 });
  }, 120_000);

  test('without its hooks the status does not say that it denies, and they come back', async () => {
    await publish();
    await startUnit();
    await using coold = await startCoold();
    await allowAll(coold);
    await settled(coold, { mode: 'enforcing', deny_repairs: 0 });
    await lab.iptables('-F', 'FORWARD');
    await coold.program.logged(({ deviations }) => String(deviations).includes('FORWARD'));
    await settled(coold, { mode: 'enforcing', deny_repairs: 1 });
    await soon(expectWorking, { timeout: 20_000 });
    await lab.nft('delete', 'table', 'bridge', 'coolify_bridge');
    await coold.program.logged(({ deviations }) =>
      String(deviations).includes('table bridge coolify_bridge'),
    );
    await settled(coold, { mode: 'enforcing', deny_repairs: 2, rules: { nft: 3 } });
    await soon(expectWorking, { timeout: 20_000 });
  }, 120_000);

  test('an accept that is inserted by hand before the deny of its bridged plane is reported, and removed', async () => {
    await startUnit();
    await using coold = await startCoold();
    await settled(coold, { mode: 'enforcing', deny_repairs: 0 });
    await lab.nft('insert', 'rule', 'bridge', 'coolify_bridge', 'forward', 'ip', 'saddr', at.a2, 'accept');
    await coold.program.logged(({ deviations }) => String(deviations).includes(`ip saddr ${at.a2} accept`));
    await settled(coold, { mode: 'enforcing', deny_repairs: 1 });
    expect(await lab.a2.reach('tcp', at.a1, 80, dropMs)).toBeNull();
  }, 120_000);

  test('a host on which it was switched off is permissive', async () => {
    await startUnit();
    await using coold = await startCoold();
    await coold.program.logged(({ msg }) => msg === 'the guard is put beside the scaffold of coolify init');
    await settled(coold, { mode: 'enforcing' });
    await switchOff();
    await coold.program.logged(({ msg }) => String(msg).startsWith('coolify init was told to deny nothing'));
    await settled(coold, { mode: 'permissive', permissive: true });
    expect(await lab.a1.reach('tcp', at.a2, 80, passMs)).toBe(at.a1);
    expect(await lab.a1.reach('tcp', at.b1, 80, passMs)).not.toBeNull();
  }, 120_000);
});
