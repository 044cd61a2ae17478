// Sets up hosts like `coolify init`, by its published behaviour: release assets in /usr/local/bin, its own units with
// all settings in /etc/systemd/system, and no environment file.
import { join } from 'node:path';
import { generateKeys, mintToken } from '@coold/broker/token';
import { foreignBridge } from '@coold/testbed';
import { installCorrosion } from '../harness/corrosion.ts';
import { loadBusyboxImage } from '../harness/images.ts';
import type { MeshHost } from '../harness/mesh.ts';
import { initSchema } from '../harness/played-cli.ts';
import { builtAssets } from '../harness/product.ts';
import { expectExec } from '../harness/provider.ts';

/** The socket of its broker, which is now called scheduler. */
export const schedulerSocket = '/run/coolify/scheduler.sock';

/**
 * Sets up hosts that are already a mesh like `coolify init`; the first is central.
 *
 * @returns which Corrosion runs on them; its unit cannot reload
 */
export async function initHosts(
  hosts: readonly [MeshHost, ...MeshHost[]],
): Promise<'corrosion' | 'stand-in'> {
  const [central] = hosts;
  const keys = generateKeys();
  const corrosion = await installCorrosion(hosts, { schemas: { 'coolify.sql': initSchema } });
  await put(central, 'scheduler');
  await central.host.put(keys.publicKey, '/etc/coolify/jwt.pub', 0o644);
  await unit(central, 'scheduler', [
    ...['RuntimeDirectory=coolify', 'RuntimeDirectoryMode=0750'],
    `Environment=SCHEDULER_GRPC_BIND=${central.mgmtIp}:6443`,
    `Environment=SCHEDULER_UNIX_SOCKET_PATH=${schedulerSocket}`,
    'Environment=SCHEDULER_JWT_PUBLIC_KEY_PATH=/etc/coolify/jwt.pub',
    'ExecStart=/usr/local/bin/scheduler',
    ...restart,
  ]);
  await Promise.all(
    hosts.map(async member => {
      const { host } = member;
      await Promise.all([put(member, 'coold'), loadBusyboxImage(host)]);
      await expectExec(host, ['systemctl', 'enable', '--quiet', '--now', 'podman.socket']);
      await expectExec(host, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
      const token = await mintToken(keys.privateKey, {
        hostId: member.name,
        caps: ['coold'],
        ttlMs: 86_400_000,
      });
      await host.put(token, '/etc/coolify/host-jwt', 0o600);
      await host.put(
        await expectExec(host, ['openssl', 'rand', '-hex', '32']),
        '/etc/coolify/api-token',
        0o600,
      );
      await denyByUnit(member);
      const namespaces = Object.entries(member.namespaces).map(
        ([name, { network, gateway }]) => `${name}:${network}:${gateway}`,
      );
      await unit(member, 'coold', [
        `Environment=COOLD_HOST_MGMT_IP=${member.mgmtIp}`,
        `Environment=COOLD_NAMESPACES=${namespaces.join(',')}`,
        'Environment=COOLD_DNS_ZONE=coolify.internal',
        `Environment=COOLD_API_BIND=${member.mgmtIp}:8443`,
        'Environment=COOLD_API_TOKEN_FILE=/etc/coolify/api-token',
        `Environment=COOLD_SCHEDULER_URL=http://${central.mgmtIp}:6443`,
        'Environment=COOLD_HOST_JWT_PATH=/etc/coolify/host-jwt',
        'ExecStart=/usr/local/bin/coold',
        'AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_NET_RAW',
        ...restart,
      ]);
    }),
  );
  return corrosion;
}

const table = 'bridge coolify_bridge';
const restart = ['Restart=on-failure', 'RestartSec=2s'];

async function put({ host }: MeshHost, name: string): Promise<void> {
  const architecture = (await expectExec(host, ['dpkg', '--print-architecture'])).trim();
  const file = join(await builtAssets(), `${name}-linux-${architecture}.tar.gz`);
  await host.put({ file }, `/root/${name}.tar.gz`, 0o600);
  await expectExec(host, ['tar', '-xzf', `/root/${name}.tar.gz`, '-C', '/usr/local/bin']);
  await expectExec(host, ['rm', `/root/${name}.tar.gz`]);
}

async function unit({ host }: MeshHost, name: string, service: readonly string[]): Promise<void> {
  const text = `[Unit]\nDescription=${name} by init\n\n[Service]\n${service.join('\n')}\n\n[Install]\nWantedBy=multi-user.target\n`;
  await host.put(text, `/etc/systemd/system/${name}.service`, 0o644);
  await expectExec(host, ['systemctl', 'daemon-reload']);
  await expectExec(host, ['systemctl', 'enable', '--quiet', '--now', name], { timeoutMs: 60_000 });
}

/** Applies the default deny between containers as that unit does. */
async function denyByUnit(member: MeshHost): Promise<void> {
  const { host } = member;
  const subnets = Object.values(member.namespaces).map(({ subnet }) => subnet);
  const iptables = '/usr/sbin/iptables';
  const ensure = (rule: string, how: string, table = '') =>
    `${iptables}${table} -C ${rule} 2>/dev/null || ${iptables}${table} ${how} ${rule}`;
  const sh = (line: string) => `ExecStart=/bin/sh -c "${line}"`;
  const bridge = foreignBridge(subnets, await tracksBridges(member));
  await host.put(bridge, '/etc/coolify/bridge-fw.nft', 0o644);
  await unit(member, 'coolify-mesh-fw', [
    ...['Type=oneshot', 'RemainAfterExit=yes'],
    ...subnets.map(subnet => sh(ensure(`POSTROUTING -s ${subnet} -o wg0 -j RETURN`, '-I', ' -t nat'))),
    ...[
      sh(`${iptables} -N COOLIFY-ALLOW 2>/dev/null || true`),
      sh(`${iptables} -N COOLIFY-INTRA 2>/dev/null || true`),
    ],
    `ExecStart=${iptables} -F COOLIFY-INTRA`,
    `ExecStart=${iptables} -A COOLIFY-INTRA -j COOLIFY-ALLOW`,
    `ExecStart=${iptables} -A COOLIFY-INTRA -j DROP`,
    sh(
      `[ -s /etc/coolify/allow.rules ] && ${iptables} -F COOLIFY-ALLOW && ${iptables}-restore --noflush </etc/coolify/allow.rules || true`,
    ),
    sh(ensure('FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT', '-I')),
    ...subnets.flatMap(subnet =>
      ['-d', '-s'].map(side => sh(ensure(`FORWARD ${side} ${subnet} -j COOLIFY-INTRA`, '-A'))),
    ),
    sh(`nft list table ${table} >/dev/null 2>&1 || nft add table ${table}`),
    sh(`nft add chain ${table} coolify_allow '{ }' 2>/dev/null || true`),
    ...['forward', 'coolify_intra'].map(chain =>
      sh(`nft delete chain ${table} ${chain} 2>/dev/null || true`),
    ),
    sh('nft -f /etc/coolify/bridge-fw.nft'),
    sh('[ -s /etc/coolify/allow.nft ] && nft -f /etc/coolify/allow.nft || true'),
  ]);
}

/** Whether this kernel tracks connections on bridges, as every host of the real program does. */
async function tracksBridges({ host }: MeshHost): Promise<boolean> {
  const probe =
    'add table bridge probe\nadd chain bridge probe c\nadd rule bridge probe c ct state new accept\n';
  return (await host.exec(['nft', '-c', '-f', '-'], { input: probe })).code === 0;
}
