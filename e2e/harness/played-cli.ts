// A stand-in for the `coolify` program, written from its published behaviour: it has the same effect on units, files,
// downloads and calls, in our own words. It uses the newer names: the broker is called scheduler.
import { createHash } from 'node:crypto';
import { generateKeys as generateTokenKeys, mintToken } from '@coold/broker/token';
import { foreignBridge, foreignPermissiveScript, foreignUnitScript } from '@coold/testbed';
import type { CoolifyCli, CoolifyFlow, CoolifyMesh, CoolifyRule } from './coolify-cli.ts';
import { eventually } from './eventually.ts';
import { containerPool, mgmtPool, type PlannedHost, planMesh } from './mesh-plan.ts';
import { expectExec, HarnessError, type Host } from './provider.ts';
import { generateKeys, type KeyPair, wgQuickConfig, wireguardPort } from './wireguard.ts';

interface Member extends PlannedHost {
  host: Host;
  keys: KeyPair;
}

const bridgePath = '/etc/coolify/bridge-fw.nft';
const fwScript = '/usr/local/lib/coold-e2e/mesh-fw.sh';
const workDir = '/var/lib/coolify-builder/work';

/** @param hosts all hosts, in the order in which they join */
export function createPlayedCli(hosts: readonly Host[]): CoolifyCli {
  const keys = new Map(hosts.map(host => [host.address, generateKeys()]));
  const tokenKeys = generateTokenKeys();
  const members = ({ servers, namespaces }: CoolifyMesh): Member[] => {
    const plan = planMesh([...servers], namespaces);
    return plan.hosts.map(planned => {
      const host = hosts.find(({ address }) => address === planned.name);
      const pair = keys.get(planned.name);
      if (host === undefined || pair === undefined) throw new HarnessError(`no host has ${planned.name}`);
      return { ...planned, host, keys: pair };
    });
  };

  /** @param download selects the hosts that download the release's programs */
  async function setUp(mesh: CoolifyMesh, download: (member: Member) => boolean): Promise<string> {
    const all = members(mesh);
    const [central] = all;
    if (central === undefined) throw new HarnessError('a mesh of no hosts');
    const version = mesh.version ?? 'nightly';
    await Promise.all(
      all.map(async member => {
        await joinWireguard(member, all);
        await makeNetworks(member);
        await installFirewall(member, mesh.isOpen ?? false);
        if (download(member)) {
          await fetchAsset(member.host, 'corrosion', version);
          await fetchAsset(member.host, 'coold', version);
        }
        await installAgents(member, all);
      }),
    );
    if (download(central)) await fetchAsset(central.host, 'scheduler', version);
    await installScheduler(central, tokenKeys);
    await Promise.all(
      all.map(async member => {
        const token = await mintToken(tokenKeys.privateKey, {
          hostId: member.mgmtIp,
          caps: ['coold', 'builder'],
          ttlMs: 365 * 86_400_000,
        });
        await member.host.put(token, '/etc/coolify/host-jwt', 0o600);
        if (download(member)) await fetchAsset(member.host, 'builder', version);
        await putUnit(member.host, 'coold', cooldUnit(member, central));
        await expectExec(member.host, ['systemctl', 'restart', 'coold'], { timeoutMs: 120_000 });
      }),
    );
    return '';
  }

  const onOwner = async (mesh: CoolifyMesh, flow: CoolifyFlow) => {
    const [src, dst] = await Promise.all([
      find(members(mesh), flow.namespace, flow.from),
      find(members(mesh), flow.namespace, flow.to),
    ]);
    return { owner: dst.member, src: src.address, dst: dst.address };
  };

  return {
    bootstrap: mesh => setUp(mesh, () => true),
    extend: (mesh, fresh) => setUp(mesh, ({ host }) => host.address === fresh),
    async upgrade(mesh) {
      const [central] = members(mesh);
      const version = mesh.version ?? 'nightly';
      await Promise.all(
        members(mesh).map(async ({ host }) => {
          for (const name of ['corrosion', 'coold', 'builder']) await fetchAsset(host, name, version);
          if (host === central?.host) await fetchAsset(host, 'scheduler', version);
        }),
      );
      for (const { host } of members(mesh)) {
        await expectExec(host, ['systemctl', 'restart', 'corrosion'], { timeoutMs: 60_000 });
        if (host === central?.host) await expectExec(host, ['systemctl', 'restart', 'scheduler']);
        await expectExec(host, ['systemctl', 'restart', 'coold'], { timeoutMs: 120_000 });
      }
      return '';
    },
    async allow(mesh, flow) {
      const { owner, src, dst } = await onOwner(mesh, flow);
      const { namespace, port } = flow;
      const body = JSON.stringify({ namespace, src, dst, proto: 'tcp', port });
      await curl(owner.host, ['-H', 'Content-Type: application/json', '-X', 'POST', '-d', body], 'allow');
    },
    async revoke(mesh, flow) {
      const { owner, src, dst } = await onOwner(mesh, flow);
      const tuple = [flow.namespace, src, dst, 'tcp', flow.port].join('|');
      const id = createHash('sha256').update(tuple).digest('hex').slice(0, 12);
      await curl(owner.host, ['-o', '/dev/null', '-X', 'DELETE'], `allow/${id}`);
    },
    async list(mesh, namespace) {
      const lists = await Promise.all(
        members(mesh).map(async ({ host, name }) => {
          const text = await curl(host, [], `allow?namespace=${namespace}`);
          return (JSON.parse(text) as Omit<CoolifyRule, 'host'>[]).map(rule => ({ ...rule, host: name }));
        }),
      );
      return lists.flat();
    },
  };
}

async function joinWireguard({ host, keys, mgmtIp }: Member, all: readonly Member[]): Promise<void> {
  const peers = all
    .filter(other => other.host !== host)
    .map(other => ({
      publicKey: other.keys.publicKey,
      endpoint: `${other.host.address}:${wireguardPort}`,
      allowedIps: [`${other.mgmtIp}/32`, ...Object.values(other.namespaces).map(({ subnet }) => subnet)],
    }));
  const text = wgQuickConfig({ privateKey: keys.privateKey, address: `${mgmtIp}/32` }, peers);
  await host.put(text, '/etc/wireguard/wg0.conf', 0o600);
  await expectExec(host, ['systemctl', 'enable', '--quiet', 'wg-quick@wg0']);
  // A host whose peers change goes down for a moment, as with the real program.
  await expectExec(host, ['systemctl', 'restart', 'wg-quick@wg0'], { timeoutMs: 60_000 });
}

async function makeNetworks({ host, namespaces }: Member): Promise<void> {
  await expectExec(host, ['systemctl', 'enable', '--quiet', '--now', 'podman.socket']);
  await expectExec(host, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  for (const [namespace, { network, subnet, gateway }] of Object.entries(namespaces)) {
    if ((await host.exec(['podman', 'network', 'exists', network])).code === 0) continue;
    await expectExec(host, [
      ...(['podman', 'network', 'create', '--driver', 'bridge', '--disable-dns'] as const),
      ...['--label', 'io.coolify.managed=true', '--label', `io.coolify.namespace=${namespace}`],
      ...['--subnet', subnet, '--gateway', gateway, network],
    ]);
  }
}

async function installFirewall({ host, namespaces }: Member, isOpen: boolean): Promise<void> {
  const subnets = Object.values(namespaces).map(({ subnet }) => subnet);
  const snapshots = { iptables: '/etc/coolify/allow.rules', nft: '/etc/coolify/allow.nft' };
  // What the kernel does not support is replaced in the nft wrapper, as for the real program.
  if (isOpen) await expectExec(host, ['rm', '-f', '--', bridgePath]);
  else await host.put(foreignBridge(subnets, true), bridgePath, 0o644);
  const script = isOpen
    ? foreignPermissiveScript(subnets)
    : foreignUnitScript(subnets, bridgePath, snapshots);
  await host.put(script, fwScript, 0o755);
  await putUnit(
    host,
    'coolify-mesh-fw',
    unit('the firewall of the mesh', 'wg-quick@wg0.service network-online.target', [
      ...['Type=oneshot', 'RemainAfterExit=yes', `ExecStart=/bin/sh ${fwScript}`],
    ]),
  );
  await expectExec(host, ['systemctl', 'enable', '--quiet', 'coolify-mesh-fw']);
  await expectExec(host, ['systemctl', 'restart', 'coolify-mesh-fw']);
}

/** Downloads a release asset, which holds one file of its name, and replaces the installed program by it. */
async function fetchAsset(host: Host, name: string, version: string): Promise<void> {
  const machine = (await expectExec(host, ['uname', '-m'])).trim();
  const architecture = machine === 'aarch64' ? 'arm64' : 'amd64';
  const [repository, asset] =
    name === 'corrosion'
      ? ['corrosion', `corrosion-${machine}-unknown-linux-gnu`]
      : ['coold', `${name}-linux-${architecture}`];
  const url = `https://github.com/coollabsio/${repository}/releases/download/${version}/${asset}.tar.gz`;
  const folder = `/var/tmp/download-${name}`;
  const bin = `/usr/local/bin/${name}`;
  await expectExec(host, ['install', '-d', folder]);
  const retry = ['--retry', '3', '--max-time', '120'];
  await expectExec(host, ['curl', '-fsSL', ...retry, '-o', `${folder}/asset.tar.gz`, url], {
    timeoutMs: 180_000,
  });
  await expectExec(host, ['tar', '-xzf', `${folder}/asset.tar.gz`, '-C', folder]);
  await expectExec(host, ['install', '-m', '0755', `${folder}/${name}`, `${bin}.tmp`]);
  await expectExec(host, ['mv', `${bin}.tmp`, bin]);
  await host.put(`${version}\n`, `${bin}.version`, 0o644);
  await expectExec(host, ['rm', '-rf', folder]);
}

async function installAgents(member: Member, all: readonly Member[]): Promise<void> {
  const { host, mgmtIp } = member;
  const others = all.filter(other => other.host !== host).map(other => `"${other.mgmtIp}:8787"`);
  await host.put(corrosionConfig(mgmtIp, others), '/etc/corrosion/config.toml', 0o600);
  await host.put(initSchema, '/etc/corrosion/schemas/coolify.sql', 0o600);
  await expectExec(host, ['install', '-d', '/run/corrosion']);
  if ((await host.exec(['test', '-s', '/etc/coolify/api-token'])).code !== 0)
    await host.put(
      await expectExec(host, ['openssl', 'rand', '-hex', '32']),
      '/etc/coolify/api-token',
      0o600,
    );
  await putUnit(
    host,
    'corrosion',
    unit('Corrosion', 'network-online.target wg-quick@wg0.service', [
      ...['ExecStart=/usr/local/bin/corrosion agent --config /etc/corrosion/config.toml'],
      ...['Restart=on-failure', 'RestartSec=2s', 'StateDirectory=corrosion'],
    ]),
  );
  await putUnit(host, 'coold', cooldUnit(member));
  await expectExec(host, ['systemctl', 'enable', '--quiet', 'corrosion', 'coold']);
  await expectExec(host, ['systemctl', 'restart', 'corrosion'], { timeoutMs: 60_000 });
  await expectExec(host, ['systemctl', 'restart', 'coold'], { timeoutMs: 120_000 });
}

/** Without token and readiness. The settings are in the unit, and there are no environment files. */
function cooldUnit({ mgmtIp, namespaces }: Member, central?: Member): string {
  const own = Object.entries(namespaces).map(
    ([name, { network, gateway }]) => `${name}:${network}:${gateway}`,
  );
  const settings = {
    COOLD_HOST_MGMT_IP: mgmtIp,
    COOLD_NAMESPACES: own.join(','),
    COOLD_DNS_ZONE: 'coolify.internal',
    COOLD_API_BIND: `${mgmtIp}:8443`,
    COOLD_API_TOKEN_FILE: '/etc/coolify/api-token',
    ...(central === undefined
      ? {}
      : {
          COOLD_SCHEDULER_URL: `http://${central.mgmtIp}:6443`,
          COOLD_HOST_JWT_PATH: '/etc/coolify/host-jwt',
          COOLD_BUILDER_ENABLED: 'true',
          COOLD_BUILDER_WORK_DIR: workDir,
          COOLD_BUILDER_CAPACITY: '2',
          COOLD_BUILDER_BIN: '/usr/local/bin/builder',
          COOLD_BUILDER_DENY_NETS: `${mgmtPool},${containerPool}`,
        }),
  };
  const after = 'corrosion.service network-online.target podman.socket coolify-mesh-fw.service';
  return unit('the agent of this host', after, [
    ...Object.entries(settings).map(([name, value]) => `Environment=${name}=${value}`),
    `ExecStartPre=/bin/mkdir -p ${workDir}`,
    'ExecStart=/usr/local/bin/coold',
    'AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_NET_RAW',
    ...['Restart=on-failure', 'RestartSec=2s'],
  ]);
}

async function installScheduler({ host, mgmtIp }: Member, keys: { publicKey: string }): Promise<void> {
  await host.put(keys.publicKey, '/etc/coolify/jwt.pub', 0o644);
  await putUnit(
    host,
    'scheduler',
    unit('the scheduler', 'network-online.target wg-quick@wg0.service', [
      ...['RuntimeDirectory=coolify', 'RuntimeDirectoryMode=0750'],
      `Environment=SCHEDULER_GRPC_BIND=${mgmtIp}:6443`,
      'Environment=SCHEDULER_UNIX_SOCKET_PATH=/run/coolify/scheduler.sock',
      'Environment=SCHEDULER_JWT_PUBLIC_KEY_PATH=/etc/coolify/jwt.pub',
      ...['ExecStart=/usr/local/bin/scheduler', 'Restart=on-failure', 'RestartSec=2s'],
    ]),
  );
  await expectExec(host, ['systemctl', 'enable', '--quiet', 'scheduler']);
  await expectExec(host, ['systemctl', 'restart', 'scheduler'], { timeoutMs: 60_000 });
}

const unit = (what: string, after: string, service: readonly string[]) =>
  `[Unit]\nDescription=Coolify: ${what}\nWants=network-online.target\nAfter=${after}\n\n[Service]\n${service.join('\n')}\n\n[Install]\nWantedBy=multi-user.target\n`;

async function putUnit(host: Host, name: string, text: string): Promise<void> {
  await host.put(text, `/etc/systemd/system/${name}.service`, 0o644);
  await expectExec(host, ['systemctl', 'daemon-reload']);
}

const corrosionConfig = (mgmtIp: string, bootstrap: readonly string[]) => `[db]
path = "/var/lib/corrosion/corrosion.db"
schema_paths = ["/etc/corrosion/schemas"]

[gossip]
addr = "${mgmtIp}:8787"
bootstrap = [${bootstrap.join(', ')}]
plaintext = true

[api]
addr = "127.0.0.1:8080"

[admin]
path = "/var/run/corrosion/admin.sock"
`;

/** The only table of the mesh that `coolify init` creates. */
export const initSchema = `CREATE TABLE service_endpoints (
  container_id TEXT NOT NULL DEFAULT '' PRIMARY KEY,
  container_name TEXT NOT NULL DEFAULT '',
  namespace TEXT NOT NULL DEFAULT '',
  host_mgmt_ip TEXT NOT NULL DEFAULT '',
  container_ip TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT '',
  health TEXT NOT NULL DEFAULT 'unknown',
  updated_at INTEGER NOT NULL DEFAULT 0
);
`;

/** Finds a container of a namespace on any host. @throws HarnessError when there is not exactly one */
async function find(
  all: readonly Member[],
  namespace: string,
  name: string,
): Promise<{ member: Member; address: string }> {
  const network = `coolify-${namespace}-mesh`;
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  const found = await Promise.all(
    all.map(async member => {
      const inspect = ['podman', 'inspect', '--type', 'container', '--format', format, name] as const;
      const { code, stdout } = await member.host.exec(inspect);
      return code === 0 ? [{ member, address: stdout.trim() }] : [];
    }),
  );
  const [one, ...others] = found.flat();
  if (one === undefined || others.length > 0)
    throw new HarnessError(
      `${others.length === 0 && one === undefined ? 'no container' : 'several containers'} ${name}`,
    );
  return one;
}

/** Calls the host's own REST API at its wg0 address with the token in its file, as over SSH. */
async function curl(host: Host, args: readonly string[], path: string): Promise<string> {
  const token = (await host.get('/etc/coolify/api-token')).toString().trim();
  const addresses = await expectExec(host, ['ip', '-4', '-o', 'addr', 'show', 'wg0']);
  const mgmt = / inet ([\d.]+)\//.exec(addresses)?.[1] ?? '';
  const url = `http://${mgmt}:8443/api/v1/firewall/${path}`;
  const call = ['curl', '-fsS', '--max-time', '10', '-H', `Authorization: Bearer ${token}`] as const;
  return await eventually(
    `coold on ${host.name} to listen`,
    async () => {
      const { code, stdout, stderr } = await host.exec([...call, ...args, url]);
      if (code === 0) return stdout;
      // curl's exit code 7, connection refused: right after a restart the API does not listen yet.
      if (code === 7) return undefined;
      throw new HarnessError(`${host.name}: curl ${path}: ${stderr.trim()}`);
    },
    { timeoutMs: 30_000, everyMs: 500 },
  );
}
