import { createHash } from 'node:crypto';
import { cablePrefix } from './cable.ts';
import { neverAllowed, notPublic } from './not-public.ts';

export const table = 'coolify_build';
/** A second table with the same rules, see held-table.ts. */
export const heldTable = 'coolify_build_held';

export interface PacketRules {
  /** The network of all build addresses. */
  net: string;
  /** This host's address on every cable. */
  gateway: string;
  /** The port of the name server on the gateway, for UDP and TCP. Builds send to port 53. */
  dnsPort: number;
  /** Interfaces that lead to the internet. */
  uplinks: readonly string[];
  /** The IPv4 networks of COOLD_BUILDER_ALLOW_NETS. */
  allowed: readonly string[];
  /** The IPv4 networks of COOLD_BUILDER_DENY_NETS: the pools of the mesh. */
  denied: readonly string[];
}

/** The most DNS queries of one build per second. More are dropped, so that a build cannot keep coold busy. */
const questionsASecond = 200;

/**
 * Returns input for `nft -f`. A packet from a build's cable passes only if it goes to the internet or an allowed network, by
 * an interface that leads there. Everything else is refused, whatever other tables accept: a drop or reject is final.
 *
 * The kernel decides for each packet whether an address belongs to this host (`fib daddr type`), whether the packet would
 * leave by a bridge, a tunnel or another cable (its output interface), and whether its source is the address of its cable
 * (`fib saddr . iif`). So there is no list that could be out of date.
 *
 * One transaction replaces the whole table. Pure.
 */
export function packetRules(rules: PacketRules): string {
  return `table inet ${table}
delete table inet ${table}
table inet ${table} {
${contentOf(rules)}}
`;
}

/**
 * Returns the same rules on one line, for a table that only its creator can change. Both tables filter every packet, so both
 * must be gone before a forbidden packet passes.
 *
 * @returns the line, and a mark by which a listing shows that this line was applied
 */
export function heldPacketRules(rules: PacketRules): { line: string; mark: string } {
  const content = contentOf(rules);
  const mark = `text_${createHash('sha256').update(content).digest('hex').slice(0, 16)}`;
  const empty = `table inet ${heldTable} {\nflags owner\n`;
  const text = `${empty}}\ndelete table inet ${heldTable}\n${empty}${content}chain ${mark} {\n}\n}\n`;
  const lines = text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'));
  return { line: lines.map(line => (line.endsWith('{') ? `${line} ` : `${line}; `)).join(''), mark };
}

function contentOf(rules: PacketRules): string {
  const { net, gateway, dnsPort, uplinks, allowed, denied } = rules;
  const cable = `"${cablePrefix}*"`;
  const dns = `ip daddr ${gateway} meta l4proto { tcp, udp } th dport`;
  return `  set uplinks { type ifname; ${elements(uplinks.map(name => `"${name}"`))} }
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
  # This host opens no connection to a build. A build gets answers and ICMP errors. A missing DNS server is not reported,
  # because coold may be back before the build asks again.
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
`;
}

function elements(values: readonly string[]): string {
  return values.length === 0 ? '' : `elements = { ${[...new Set(values)].join(', ')} }`;
}
