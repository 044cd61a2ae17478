import { isIPv4 } from 'node:net';
import type { PortMapping } from '@coold/proto';
import { isOfOtherHost, type MeshRanges } from '../network/mesh-ranges.ts';
import { denied } from './deny.ts';

/**
 * A port of this host that serves the mesh (docs/contract.md §3). A container that published it would take over its
 * traffic: the packet filter rewrites the destination before any program of the host sees the packet. Pure.
 */
export interface HostPort {
  port: number;
  /** Absent for both protocols. */
  protocol?: 'tcp' | 'udp';
  /** The addresses that it is served on; absent for every address. */
  addresses?: readonly string[];
  /** What uses the port, for the refusal's text. */
  use: string;
}

const wildcards = new Set(['', '0.0.0.0']);

/**
 * Refuses published ports that would take over one of the host's own ports, and ports on an address of the mesh.
 *
 * @param meshAddresses the host's management address and the gateways of its managed networks
 * @param ranges where the rest of the mesh is
 * @throws VerbError 403 naming the field
 */
export function denyHostPorts(
  ports: readonly PortMapping[],
  own: readonly HostPort[],
  meshAddresses: ReadonlySet<string>,
  ranges: MeshRanges,
): void {
  ports.forEach(({ hostIp, hostPort, protocol }, index) => {
    if (meshAddresses.has(hostIp) || (isIPv4(hostIp) && isOfOtherHost(hostIp, ranges)))
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
