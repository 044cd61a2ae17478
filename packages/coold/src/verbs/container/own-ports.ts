import { isIP } from 'node:net';
import { ChildError, runChild } from '@coold/runtime';
import { wireguardInterface } from '../../discovery/hosts/host-facts.ts';
import type { HostPort } from './host-ports.ts';

/** coold's listening settings that a container could take over. */
export interface OwnPortsConfig {
  apiBind: { host: string; port: number } | undefined;
  metricsBind: { host: string; port: number } | undefined;
  /** Gateways that answer DNS. */
  gateways: readonly string[];
  /** Other ports that no container may publish: the broker's, where one runs on this host. */
  reserved: readonly number[];
  /** The origin of Corrosion's API on this host. */
  corrosionUrl: string;
}

/** WireGuard's usual port, assumed where the configured one cannot be read. */
const defaultWireguardPort = 51_820;

/**
 * Returns the ports of this host that serve the mesh. Where WireGuard's tool or interface is missing, its usual port is
 * assumed.
 *
 * @throws ChildError when `wg` hangs or the signal fires
 */
export async function ownPorts(
  { apiBind, metricsBind, gateways, reserved, corrosionUrl }: OwnPortsConfig,
  signal: AbortSignal,
): Promise<HostPort[]> {
  return [
    { port: 53, addresses: gateways, use: 'cluster DNS' },
    ...ofTcp(apiBind, "coold's REST API"),
    ...ofTcp(metricsBind, "coold's metrics"),
    ofCorrosion(new URL(corrosionUrl)),
    ...reserved.map(port => ({ port, use: 'what COOLD_RESERVED_PORTS names, such as the broker' })),
    { port: await wireguardPort(signal), protocol: 'udp', use: 'WireGuard' },
  ];
}

function ofTcp(bind: OwnPortsConfig['apiBind'], use: string): HostPort[] {
  return bind === undefined ? [] : [{ port: bind.port, protocol: 'tcp', addresses: [bind.host], use }];
}

function ofCorrosion({ protocol, hostname, port }: URL): HostPort {
  const addresses = addressesOf(hostname);
  return {
    port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
    protocol: 'tcp',
    ...(addresses === undefined ? {} : { addresses }),
    use: "Corrosion's API",
  };
}

/** Connections to these reach this host, on an address that the kernel chooses. */
const unspecified = new Set(['0.0.0.0', '::']);

/** Returns the addresses of this host that a URL may reach; undefined for any, as for a name, which is not resolved. */
function addressesOf(hostname: string): string[] | undefined {
  if (hostname === 'localhost') return ['127.0.0.1', '::1'];
  // A URL has brackets around an IPv6 address.
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(address) === 0 || unspecified.has(address) ? undefined : [address];
}

const wgTimeoutMs = 3000;

async function wireguardPort(signal: AbortSignal): Promise<number> {
  try {
    const args = ['show', wireguardInterface, 'listen-port'];
    const { code, stdout } = await runChild('wg', args, { timeoutMs: wgTimeoutMs, signal });
    const port = code === 0 && /^\d{1,5}\n$/.test(stdout) ? Number(stdout) : defaultWireguardPort;
    return port === 0 ? defaultWireguardPort : port;
  } catch (error) {
    if (error instanceof ChildError && error.reason === 'spawn') return defaultWireguardPort;
    throw error;
  }
}
