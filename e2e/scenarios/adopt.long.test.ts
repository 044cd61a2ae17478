// Runs install.sh on hosts that `coolify init` set up: its messages, --adopt and --release, while a connection between
// containers keeps sending.
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from 'vitest';
import { askCorrosion } from '../harness/ask-corrosion.ts';
import { operator } from '../harness/callers.ts';
import { eventually } from '../harness/eventually.ts';
import { printJournals } from '../harness/fleet.ts';
import { runContainer } from '../harness/images.ts';
import type { MeshHost } from '../harness/mesh.ts';
import { builtPackage } from '../harness/product.ts';
import { expectExec, hostSystems, type Provider } from '../harness/provider.ts';
import { initHosts, schedulerSocket } from './init-hosts.ts';
import { chooseGround } from './provider.ts';

/** The root of another Debian than this machine's may have to be created first. */
const setUpMs = 15 * 60_000;
const port = 9000;

describe.each(hostSystems)('hosts of coolify init, on %s', system => {
  let provider: Provider;
  let hosts: [MeshHost, MeshHost];
  let a: MeshHost;
  let b: MeshHost;
  let rule: string;
  let corrosion: 'corrosion' | 'stand-in';

  beforeAll(async () => {
    const ground = await chooseGround();
    provider = ground.provider;
    const up = await provider.up(['a', 'b'].map(name => ({ name, system })));
    const [first, second] = await ground.join(up, ['default']);
    if (first === undefined || second === undefined) throw new Error('two hosts were asked for');
    hosts = [first, second];
    [a, b] = hosts;
    try {
      corrosion = await initHosts(hosts);
      for (const { host } of hosts) {
        await host.put({ file: await builtPackage() }, '/root/coold.tar.gz', 0o600);
        await expectExec(host, ['mkdir', '/root/coold']);
        await expectExec(host, [
          ...(['tar', '-xzf', '/root/coold.tar.gz', '-C', '/root/coold'] as const),
          '--strip-components=1',
        ]);
      }
      for (const [member, name] of [
        [a, 'client'],
        [b, 'server'],
      ] as const)
        await runContainer(member.host, { name, network: network(member), args: ['--restart', 'always'] });
      rule = await allow();
    } catch (error) {
      await printJournals(up);
      throw error;
    }
  }, setUpMs);
  afterAll(() => provider?.close(), setUpMs);
  beforeEach(() => onTestFailed(() => printJournals(hosts.map(({ host }) => host)), 60_000));

  const network = (member: MeshHost) => member.namespaces['default']?.network ?? '';
  const sh = (member: MeshHost, line: string, timeoutMs = 60_000) =>
    expectExec(member.host, ['sh', '-c', line], { timeoutMs });
  const inside = (member: MeshHost, name: string, line: string) =>
    expectExec(member.host, ['podman', 'exec', name, 'sh', '-c', line]);
  const addressOf = async (member: MeshHost, name: string) =>
    (await inside(member, name, "ip -4 -o address show dev eth0 | sed 's|.*inet ||; s|/.*||'")).trim();
  const show = async ({ host }: MeshHost, unit: string, property: string) =>
    (await expectExec(host, ['systemctl', 'show', '--property', property, '--value', unit])).trim();
  const install = async ({ host }: MeshHost, ...args: string[]) => {
    const { code, stdout, stderr } = await host.exec(['/root/coold/install.sh', ...args], {
      timeoutMs: 120_000,
    });
    expect(code, stderr).toBe(0);
    return stdout + stderr;
  };
  /** Only the last line is used. */
  const streams = async (): Promise<string[]> => {
    const answer = await expectExec(a.host, [
      ...(['curl', '-sS', '--unix-socket', schedulerSocket, 'http://broker/v1/streams'] as const),
    ]);
    return (JSON.parse(answer) as { host_id: string }[]).map(({ host_id: id }) => id).toSorted();
  };
  const bothConnected = () =>
    eventually(
      'both hosts to have streams',
      async () => ((await streams().catch(() => [])).join() === 'a,b' ? true : undefined),
      { timeoutMs: 60_000 },
    );

  /**
   * Allows both directions on both hosts, like Coolify's command.
   *
   * @returns the id of the rule that leads to the server
   */
  async function allow(): Promise<string> {
    const [client, server] = await Promise.all([addressOf(a, 'client'), addressOf(b, 'server')]);
    const there = { src: client, dst: server, port };
    const back = { src: server, dst: client };
    const ids: string[] = [];
    for (const flow of [back, there])
      for (const member of hosts) {
        const command = { type: 'firewall.allow', namespace: 'default', proto: 'tcp', ...flow };
        const made = await eventually(
          `coold of ${member.name} to take a rule`,
          async () => {
            const answer = await operator()
              .call(member, command)
              .catch(() => undefined);
            return answer?.ok === true ? answer.data : undefined;
          },
          { timeoutMs: 60_000 },
        );
        ids.push((made as { id: string }).id);
      }
    return ids.at(-1) ?? '';
  }

  /** Opens a connection on which the client sends the server a line every 10 ms. */
  async function standing() {
    const dst = await addressOf(b, 'server');
    const counters = async () => {
      const [client, server] = await Promise.all([tcp(a, 'client'), tcp(b, 'server')]);
      // A segment that was retransmitted needlessly, as on a busy machine, is reported as a duplicate.
      return client.resent - client.duplicates + server.resent - server.duplicates;
    };
    // nc ends when its input ends, so its input never does.
    const receive = `sleep infinity | nc -l -p ${port} >/tmp/received`;
    await b.host.exec(['podman', 'exec', '--detach', 'server', 'sh', '-c', receive]);
    await inside(b, 'server', `until netstat -ltn | grep -q :${port}; do usleep 10000; done`);
    const send = 'i=0; while :; do echo $i; i=$((i + 1)); usleep 10000; done';
    await a.host.exec(['podman', 'exec', '--detach', 'client', 'sh', '-c', `(${send}) | nc ${dst} ${port}`]);
    const received = async () => (await inside(b, 'server', 'cat /tmp/received')).trim().split('\n');
    const arriving = async (more: number) => {
      const before = (await received()).length;
      await eventually(
        'the connection to go on',
        async () => ((await received()).length >= before + more ? true : undefined),
        { timeoutMs: 20_000 },
      );
    };
    await arriving(50);
    const lostBefore = await counters();
    return {
      arriving,
      /**
       * Returns the number of segments lost since it opened. The connection stays open, and each line has arrived once
       * and in order.
       */
      async lost() {
        await arriving(50);
        const lines = (await received()).slice(0, -1);
        expect(lines).toEqual(lines.map((_, number) => String(number)));
        return (await counters()) - lostBefore;
      },
      async end() {
        await inside(a, 'client', 'killall nc');
        await inside(b, 'server', 'until ! netstat -tln | grep -q :9000; do killall nc; usleep 50000; done');
      },
    };
  }

  /** Returns the kernel's TCP counters for a container. */
  async function tcp(member: MeshHost, name: string) {
    const text = await inside(member, name, 'cat /proc/net/snmp /proc/net/netstat');
    const count = (kind: string, key: string) => {
      const [keys = '', values = ''] = text.split('\n').filter(line => line.startsWith(`${kind}: `));
      return Number(values.split(' ')[keys.split(' ').indexOf(key)]);
    };
    return { resent: count('Tcp', 'RetransSegs'), duplicates: count('TcpExt', 'TCPDSACKRecv') };
  }

  const ruleStands = async () => {
    expect(await sh(b, 'iptables -S COOLIFY-ALLOW')).toContain(`cid:${rule}`);
    const dst = await addressOf(b, 'server');
    // Another port stays blocked.
    const other = await a.host.exec(['podman', 'exec', 'client', 'nc', '-w', '2', dst, String(port + 1)]);
    expect(other.code).not.toBe(0);
  };

  test('the hosts work, and install.sh reports that their units override its own', async () => {
    await bothConnected();
    const line = await standing();
    const said = await install(b);
    expect(said).toContain('/etc/systemd/system/coold.service wins over the unit of this package');
    expect(said).toContain('/etc/coolify/coold.env has no effect');
    expect(said).toContain('/etc/systemd/system/coolify-mesh-fw.service wins');
    expect(said).toContain('install.sh --adopt');
    // The stand-in has no command to reload.
    const restart = 'Corrosion has new tables and cannot be reloaded: run systemctl restart corrosion';
    if (corrosion === 'stand-in') expect(said).toContain(restart);
    else await askCorrosion(b.host, 'queries', ['SELECT 1 FROM service_registrations', []]);
    expect(await show(b, 'coold.service', 'FragmentPath')).toBe('/etc/systemd/system/coold.service');
    expect(await line.lost()).toBe(0);
    await line.end();
    await ruleStands();
  }, 240_000);

  test('a Corrosion whose unit can reload gets new tables by a reload', async () => {
    const told = '/run/corrosion-told';
    await a.host.put(
      `[Service]\nExecReload=/bin/touch ${told}\n`,
      '/etc/systemd/system/corrosion.service.d/reload.conf',
      0o644,
    );
    await expectExec(a.host, ['systemctl', 'daemon-reload']);
    expect(await install(a)).not.toContain('Corrosion');
    await expectExec(a.host, ['rm', told]);
    await install(a);
    expect((await a.host.exec(['test', '-e', told])).code).toBe(1);
  }, 120_000);

  test('a unit that differs from those of coolify init is refused, and nothing changes', async () => {
    const path = '/etc/systemd/system/coold.service';
    const before = (await b.host.get(path)).toString();
    await b.host.put(before.replace('/bin/coold\n', '/bin/coold --log-level debug\n'), path, 0o644);
    const { code, stderr } = await b.host.exec(['/root/coold/install.sh', '--adopt']);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('coold.service is not as coolify init writes it'),
    ]);
    expect(await sh(b, 'grep -v "^#" /etc/coolify/coold.env /etc/coolify/mesh.env | grep = || :')).toBe('');
    await b.host.put(before, path, 0o644);
  });

  test('--adopt keeps every setting and rule, and loses no packet', async () => {
    const line = await standing();
    for (const member of [b, a]) {
      const said = await install(member, '--adopt');
      expect(said).toContain('took over from /etc/systemd/system/coold.service');
      for (const unit of ['coold.service', 'coolify-mesh-fw.service']) {
        expect(await show(member, unit, 'FragmentPath')).toBe(`/usr/local/lib/systemd/system/${unit}`);
        expect(await show(member, unit, 'ActiveState')).toBe('active');
        expect(await expectExec(member.host, ['systemctl', 'is-enabled', unit])).toBe('enabled\n');
      }
    }
    expect(await show(a, 'broker.service', 'ActiveState')).toBe('active');
    expect(await show(a, 'scheduler.service', 'LoadState')).toBe('not-found');
    expect(await sh(b, 'grep -v "^#" /etc/coolify/coold.env | grep =')).toBe(
      [
        `COOLD_HOST_MGMT_IP=${b.mgmtIp}`,
        `COOLD_NAMESPACES=default:${network(b)}:${b.namespaces['default']?.gateway}`,
        'COOLD_DNS_ZONE=coolify.internal',
        `COOLD_API_BIND=${b.mgmtIp}:8443`,
        'COOLD_API_TOKEN_FILE=/etc/coolify/api-token',
        `COOLD_BROKER_URL=http://${a.mgmtIp}:6443`,
        'COOLD_HOST_JWT_PATH=/etc/coolify/host-jwt\n',
      ].join('\n'),
    );
    expect(await sh(b, 'grep -v "^#" /etc/coolify/mesh.env | grep =')).toBe(
      `COOLD_SCAFFOLD_SUBNETS=${b.namespaces['default']?.subnet}\nCOOLD_SCAFFOLD_POOLS=10.210.0.0/16\n`,
    );
    expect(await line.lost()).toBe(0);
    await line.end();
    await bothConnected();
    await ruleStands();
    expect(await install(b, '--adopt')).toContain('coolify init has no units here');
  }, 240_000);

  test('after a reboot the units of the package run everything', async () => {
    await b.host.reboot();
    await bothConnected();
    await eventually(
      'the server to be back',
      async () => ((await addressOf(b, 'server').catch(() => '')) === '' ? undefined : true),
      { timeoutMs: 30_000 },
    );
    await ruleStands();
    expect(await sh(b, 'nft list table inet coolify_guard')).toContain('allowed_ports');
  }, 240_000);

  test('--release restores what was adopted, and loses no rule and no packet', async () => {
    await eventually(
      'the server to be allowed',
      async () => {
        rule = await allow();
        return true;
      },
      { timeoutMs: 30_000 },
    );
    const line = await standing();
    for (const member of [a, b]) {
      expect(await install(member, '--release')).toContain('gave back to coolify init');
      for (const unit of ['coold.service', 'coolify-mesh-fw.service']) {
        expect(await show(member, unit, 'FragmentPath')).toBe(`/etc/systemd/system/${unit}`);
        expect(await show(member, unit, 'ActiveState')).toBe('active');
        expect(await expectExec(member.host, ['systemctl', 'is-enabled', unit])).toBe('enabled\n');
      }
      expect(await sh(member, 'grep -v "^#" /etc/coolify/coold.env | grep = || :')).toBe('');
      expect((await member.host.exec(['test', '-e', '/etc/coolify/adopted'])).code).toBe(1);
      await eventually(
        `the hook of the pool to be gone from ${member.name}`,
        async () => !(await sh(member, 'iptables -S FORWARD')).includes('-d 10.210.0.0/16 ') || undefined,
        { timeoutMs: 30_000 },
      );
    }
    expect(await show(a, 'scheduler.service', 'ActiveState')).toBe('active');
    expect(await show(a, 'broker.service', 'ActiveState')).toBe('inactive');
    expect(await line.lost()).toBe(0);
    await line.end();
    await bothConnected();
    await ruleStands();
    const { code, stderr } = await b.host.exec(['/root/coold/install.sh', '--release']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('nothing was taken over on this host')]);
  }, 240_000);
});
