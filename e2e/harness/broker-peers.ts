import type { Authority } from '@coold/testbed';
import type { FleetHost } from './fleet.ts';

const port = 6444;

/**
 * Gives a host's broker a certificate that other brokers accept.
 *
 * @returns its settings for other brokers, for broker.env
 */
export async function joinBrokerPeers(
  authority: Authority,
  { name, host, mgmtIp }: Pick<FleetHost, 'name' | 'host' | 'mgmtIp'>,
  brokerId: string,
): Promise<Record<string, string>> {
  const { certPath, keyPath } = await authority.issue(name, { addresses: `IP:${mgmtIp}` });
  const file = (path: string, target: string) => host.put({ file: path }, `/etc/coolify/${target}`, 0o600);
  await Promise.all([
    file(certPath, 'peer.crt'),
    file(keyPath, 'peer.key'),
    file(authority.caPath, 'peers.crt'),
  ]);
  return {
    BROKER_ROUTES_CORROSION_URL: 'http://127.0.0.1:8080',
    BROKER_ROUTES_BROKER_ID: brokerId,
    BROKER_ROUTES_BIND: `${mgmtIp}:${port}`,
    BROKER_ROUTES_ADDRESS: `${mgmtIp}:${port}`,
    BROKER_ROUTES_TLS_CERT: '/etc/coolify/peer.crt',
    BROKER_ROUTES_TLS_KEY: '/etc/coolify/peer.key',
    BROKER_ROUTES_TLS_CA: '/etc/coolify/peers.crt',
  };
}
