import type { NetlinkSocket } from '../../netlink/netlink-socket.ts';
import { addressBytes } from '../../rule/cidr.ts';
import { allCallIptables, type Link, type ReadLink, readLink, readRoute } from '../kernel/route.ts';
import type { Way } from './way.ts';

/** A flow between two addresses. */
export interface AskedFlow {
  src: string;
  dst: string;
  /** Undefined for any protocol or port. */
  proto: 'tcp' | 'udp' | undefined;
  port: number | undefined;
}

/** Where this host's routing table places an address. */
export type Position =
  /** On a bridge of this host. */
  | { kind: 'here'; link: ReadLink }
  /** Reached by the mesh's WireGuard interface. */
  | { kind: 'away' }
  /** An address of this host. */
  | { kind: 'own'; device: string }
  | { kind: 'elsewhere'; how: string };

/** @param routes the netlink socket for routes @throws Error when the kernel cannot be asked */
export function positionOf(routes: NetlinkSocket, address: string, wgInterface: string): Position {
  const route = readRoute(routes, addressBytes(address));
  switch (route.kind) {
    case 'own':
      return route;
    case 'none':
      return { kind: 'elsewhere', how: `no route leads there (${route.why})` };
    case 'out': {
      if (route.device === wgInterface) return { kind: 'away' };
      const link = readLink(routes, route.device);
      return link?.isBridge
        ? { kind: 'here', link }
        : { kind: 'elsewhere', how: `its route leads by ${route.device}` };
    }
  }
}

export interface FoundWay {
  /** Undefined when no rule judges the packet because it never gets that far. */
  way: Way | undefined;
  sourceLink: Link | undefined;
  /** Why the packet has no route, or a wrong one. */
  problem: string | undefined;
}

/**
 * Returns the path of a packet through this host. At least one end is on this host.
 *
 * @param wgInterface the mesh's WireGuard interface
 * @throws Error when the kernel cannot be asked
 */
export async function findWay(
  routes: NetlinkSocket,
  flow: AskedFlow,
  from: Position,
  to: Position,
  wgInterface: string,
): Promise<FoundWay> {
  if (from.kind === 'here' && to.kind === 'here' && from.link.name === to.link.name) {
    const callsIptables = from.link.callsIptables || (await allCallIptables());
    const way: Way = { kind: 'bridged', bridge: from.link, callsIptables };
    return { way, sourceLink: from.link, problem: undefined };
  }
  const into = from.kind === 'here' ? from.link : readLink(routes, wgInterface);
  const nowhere = (problem: string): FoundWay => ({ way: undefined, sourceLink: into, problem });
  if (into === undefined) return nowhere(`this host has no interface ${wgInterface}`);
  const route = readRoute(routes, addressBytes(flow.dst), {
    source: addressBytes(flow.src),
    link: into,
    proto: flow.proto,
    port: flow.port,
  });
  if (route.kind === 'own') return nowhere(`${flow.dst} is this host's own`);
  if (route.kind === 'none')
    return nowhere(
      `the routing table takes no packet from ${flow.src} by ${into.name} to ${flow.dst}: ${route.why}`,
    );
  const out = readLink(routes, route.device);
  if (out === undefined) return nowhere(`the interface ${route.device} is gone`);
  // A route by another interface does not lead to the mesh, whatever the rules say.
  const problem =
    out.isBridge || out.name === wgInterface
      ? undefined
      : `the route to ${flow.dst} leads by ${out.name} and not by ${wgInterface}`;
  return { way: { kind: 'routed', into, out }, sourceLink: from.kind === 'here' ? from.link : into, problem };
}
