import type { Link } from '../kernel/route.ts';
import type { BaseChain, Family } from '../kernel/rules.ts';
import type { Station } from './asked-packet.ts';

/** The path of a packet through this host. */
export type Way =
  /** Between two containers on one bridge. @param callsIptables whether the bridge passes its packets to the IP rules */
  | { kind: 'bridged'; bridge: Link; callsIptables: boolean }
  /** Either interface is a bridge of this host or the WireGuard interface. */
  | { kind: 'routed'; into: Link; out: Link };

/** A part of the path, as users see it. */
export type HopName =
  | 'source_bridge'
  | 'source_forward'
  | 'bridge'
  | 'forward'
  | 'destination_forward'
  | 'destination_bridge';

/** A hook on the path, and the part of the path it belongs to. */
export interface Stop {
  hop: HopName;
  station: Station;
}

/** Returns the hooks of a path in order. Pure. @param sourceLink the interface on the packet's source side */
export function stopsOf(way: Way, sourceLink: Link | undefined): Stop[] {
  const at = (
    hop: HopName,
    layer: Station['layer'],
    hook: Station['hook'],
    links: { into: Link | undefined; out: Link | undefined },
  ): Stop => ({ hop, station: { layer, hook, ...links, sourceLink } });
  if (way.kind === 'bridged') {
    const links = { into: way.bridge, out: way.bridge };
    const called = (hook: Station['hook']) => (way.callsIptables ? [at('forward', 'ip', hook, links)] : []);
    // Connection tracking, and the guard's mark, come before the bridged plane's own rules.
    return [
      at('bridge', 'bridge', 'prerouting', links),
      ...called('prerouting'),
      at('bridge', 'bridge', 'forward', links),
      ...called('forward'),
      ...called('postrouting'),
      at('bridge', 'bridge', 'postrouting', links),
    ];
  }
  const { into, out } = way;
  const routed: HopName = into.isBridge
    ? out.isBridge
      ? 'forward'
      : 'source_forward'
    : 'destination_forward';
  const links = { into, out };
  return [
    ...(into.isBridge
      ? (['prerouting', 'input'] as const).map(hook =>
          at('source_bridge', 'bridge', hook, { into, out: undefined }),
        )
      : []),
    ...(['prerouting', 'forward', 'postrouting'] as const).map(hook => at(routed, 'ip', hook, links)),
    ...(out.isBridge
      ? (['output', 'postrouting'] as const).map(hook =>
          at('destination_bridge', 'bridge', hook, { into: undefined, out }),
        )
      : []),
  ];
}

const hookNumbers: Readonly<Record<Station['hook'], number>> = {
  prerouting: 0,
  input: 1,
  forward: 2,
  output: 3,
  postrouting: 4,
};
const familiesOf: Readonly<Record<Station['layer'], readonly Family[]>> = {
  ip: ['ip', 'inet', 'legacy'],
  bridge: ['bridge'],
};

/** Returns the chains at a hook, in the kernel's order. Pure. */
export function chainsAt({ station }: Stop, chains: readonly BaseChain[]): BaseChain[] {
  return chains
    .filter(
      ({ family, hook }) => hook === hookNumbers[station.hook] && familiesOf[station.layer].includes(family),
    )
    .toSorted((a, b) => a.priority - b.priority);
}

const [inetIngress, netdevIngress, netdevEgress] = [5, 0, 1];

/**
 * Returns which side of an interface a netdev chain is attached to; undefined for chains at the path's own hooks. Pure.
 */
export function sideOf({ family, hook }: BaseChain): 'in' | 'out' | undefined {
  if (family === 'inet') return hook === inetIngress ? 'in' : undefined;
  if (family !== 'netdev') return undefined;
  if (hook === netdevIngress) return 'in';
  return hook === netdevEgress ? 'out' : undefined;
}

/**
 * Returns the netdev chains of the interfaces that the packet enters and leaves by, and of their ports. Rules of these
 * chains are not interpreted. Pure.
 *
 * @param masterOf returns the number of the bridge that an interface is a port of
 */
export function chainsOfLinks(
  chains: readonly BaseChain[],
  way: Way,
  masterOf: (device: string) => number | undefined,
): BaseChain[] {
  const [into, out] = way.kind === 'bridged' ? [way.bridge, way.bridge] : [way.into, way.out];
  return chains.filter(chain => {
    const side = sideOf(chain);
    if (side === undefined) return false;
    const { name, index } = side === 'in' ? into : out;
    // A name prefix may match a port.
    return chain.devices.some(
      device => device === name || device.endsWith('*') || masterOf(device) === index,
    );
  });
}
