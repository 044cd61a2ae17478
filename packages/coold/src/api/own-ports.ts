import { ChildError, runChild } from '@coold/runtime';
import { wireguardInterface } from './host.ts';
import type { HostPort } from './host-ports.ts';

/** What coold is configured to listen on, as far as a container could take it over. */
export interface OwnPortsConfig {
  apiBind: { host: string; port: number } | undefined;
  /** Gateways that answer DNS. */
  gateways: readonly string[];
  /** Further ports that no container may publish: the broker's, where one runs on this host. */
  reserved: readonly number[];
}

/** WireGuard's own choice when it is told none; taken where its port cannot be read. */
const defaultWireguardPort = 51_820;

/**
 * The ports of this host that serve the mesh. Where WireGuard's tool or interface is missing, its usual port is taken.
 *
 * @throws ChildError when `wg` hangs or the signal fires
 */
export async function ownPorts(
  { apiBind, gateways, reserved }: OwnPortsConfig,
  signal: AbortSignal,
): Promise<HostPort[]> {
  return [
    { port: 53, addresses: gateways, use: 'cluster DNS' },
    ...(apiBind === undefined
      ? []
      : [
          {
            port: apiBind.port,
            protocol: 'tcp',
            addresses: [apiBind.host],
            use: "coold's REST API",
          } as const,
        ]),
    ...reserved.map(port => ({ port, use: 'what COOLD_RESERVED_PORTS names, such as the broker' })),
    { port: await wireguardPort(signal), protocol: 'udp', use: 'WireGuard' },
  ];
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
