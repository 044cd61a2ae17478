import { cablePrefix } from './cable.ts';
import { neverAllowed, notPublic } from './not-public.ts';

export const table = 'coolify_build';

export interface PacketRules {
  /** All addresses of builds, as a network. */
  net: string;
  /** This host's address on every cable. */
  gateway: string;
  /** Where coold answers DNS on that address, for UDP and TCP; builds ask port 53. */
  dnsPort: number;
  /** Interfaces that lead to the internet. */
  uplinks: readonly string[];
  /** Of COOLD_BUILDER_ALLOW_NETS, IPv4. */
  allowed: readonly string[];
  /** Of COOLD_BUILDER_DENY_NETS, IPv4: the mesh's pools. */
  denied: readonly string[];
}

/** DNS questions of one build: beyond, they are dropped, so that none keeps coold busy. */
const questionsASecond = 200;

/**
 * Input for `nft -f`: what comes from a build's cable passes if it is meant for the internet or an allowed network, and leaves
 * by an interface that leads there. All else is refused, whatever accepts it elsewhere: a drop or reject is final.
 *
 * What is denied is asked of the kernel packet by packet and is no list that could be out of date: whether an address is
 * one of this host's (`fib daddr type`), whether a packet would leave by a bridge, a tunnel or another cable (its output
 * interface), whether its source is the address of that very cable (`fib saddr . iif`).
 *
 * The table is replaced as a whole, in one transaction. Pure.
 */
export function packetRules(rules: PacketRules): string {
  const { net, gateway, dnsPort, uplinks, allowed, denied } = rules;
  const cable = `"${cablePrefix}*"`;
  const dns = `ip daddr ${gateway} meta l4proto { tcp, udp } th dport`;
  return `table inet ${table}
delete table inet ${table}
table inet ${table} {
  set uplinks { type ifname; ${elements(uplinks.map(name => `"${name}"`))} }
  set allowed { type ipv4_addr; flags interval; auto-merge; ${elements(allowed)} }
  set denied { type ipv4_addr; flags interval; auto-merge; ${elements([...neverAllowed, ...denied, net])} }
  set not_public { type ipv4_addr; flags interval; auto-merge; ${elements(notPublic)} }
  set askers { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1m; }

  # Before any address is rewritten: what is meant for this host is not to become meant for a container.
  chain arriving {
    type filter hook prerouting priority raw; policy accept;
    iifname != ${cable} accept
    meta nfproto != ipv4 drop
    ip saddr != ${net} drop
    fib saddr . iif oif missing drop
    ${dns} 53 goto asking
    fib daddr type != unicast goto refused
  }
  chain asking {
    update @askers { ip saddr limit rate over ${questionsASecond}/second burst ${questionsASecond} packets } drop
    accept
  }
  chain redirected {
    type nat hook prerouting priority dstnat; policy accept;
    iifname ${cable} ${dns} 53 dnat ip to ${gateway}:${dnsPort}
  }
  chain entering {
    type filter hook input priority filter - 10; policy accept;
    iifname != ${cable} accept
    ct status dnat ${dns} ${dnsPort} accept
    goto refused
  }
  chain passing {
    type filter hook forward priority filter - 10; policy accept;
    iifname ${cable} goto leaving
    oifname ${cable} ct state established,related accept
    oifname ${cable} drop
  }
  chain leaving {
    meta nfproto != ipv4 drop
    ct status dnat goto refused
    ip daddr @denied goto refused
    oifname != @uplinks jump sideways
    ip daddr @allowed accept
    ip daddr @not_public goto refused
    oifname != @uplinks goto refused
    accept
  }
  # An allowed network may be behind a second network card, which has no kind, or what is made of cards. Every other kind
  # leads to containers, to the mesh or to what else this host has made: bridge, veth, wireguard, tun, dummy.
  chain sideways {
    meta oifkind "vlan" return
    meta oifkind "bond" return
    meta oifkind "team" return
    meta oifkind != "none" goto refused
  }
  # Nothing of this host calls on a build; it gets answers, and is told what does not work. That nobody answers DNS is not
  # told, because coold may be back before the question is asked again.
  chain answering {
    type filter hook output priority filter - 10; policy accept;
    oifname != ${cable} accept
    ip saddr ${gateway} icmp type destination-unreachable icmp code port-unreachable drop
    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
    ct state established accept
    drop
  }
  chain masquerading {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${net} oifname != ${cable} masquerade
  }
  chain refused {
    reject with icmpx admin-prohibited
  }
}
`;
}

function elements(values: readonly string[]): string {
  return values.length === 0 ? '' : `elements = { ${[...new Set(values)].join(', ')} }`;
}
