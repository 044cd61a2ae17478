import type { PortMapping } from '@coold/proto';
import { denied } from './deny.ts';

/**
 * A port of this host that serves the mesh (docs/contract.md §3). A container that publishes it would take its traffic
 * over: the packet filter rewrites the destination before any program of the host sees the packet. Pure.
 */
export interface HostPort {
  port: number;
  /** Absent: of both. */
  protocol?: 'tcp' | 'udp';
  /** Where it is served; absent: on every address. */
  addresses?: readonly string[];
  /** What it is for, for the refusal. */
  use: string;
}

const wildcards = new Set(['', '0.0.0.0']);

/**
 * Refuses published ports that would take over one of the host's own, and those on an address of the mesh.
 *
 * @param meshAddresses the host's management address and the gateways of its managed networks
 * @throws VerbError 403 naming the field
 */
export function denyHostPorts(
  ports: readonly PortMapping[],
  own: readonly HostPort[],
  meshAddresses: ReadonlySet<string>,
): void {
  ports.forEach(({ hostIp, hostPort, protocol }, index) => {
    if (meshAddresses.has(hostIp))
      throw denied(`ports[${index}].host_ip`, `${hostIp} is an address of the mesh; publish on another`);
    const taken = own.find(
      candidate =>
        candidate.port === hostPort &&
        (candidate.protocol === undefined || candidate.protocol === (protocol === '' ? 'tcp' : protocol)) &&
        (candidate.addresses === undefined || wildcards.has(hostIp) || candidate.addresses.includes(hostIp)),
    );
    if (taken !== undefined)
      throw denied(`ports[${index}].host_port`, `${hostPort} is this host's own port for ${taken.use}`);
  });
}
