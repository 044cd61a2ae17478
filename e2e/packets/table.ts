import { type Place, publishedPort, servedPort } from './places.ts';
import type { Packet, Row, RuleOfRow } from './row.ts';

/**
 * Returns the table of packets: what docs/contract.md §4 means for every kind of packet that we know. A host judges
 * packets to its own containers. Packets that leave by WireGuard for another host pass, since that host judges them.
 */
export function packetTable(): Row[] {
  const rows = [
    ...matrix(),
    ...allowRules(),
    ...networks(),
    ...published(),
    ...hosts(),
    ...odd(),
    ...underlay(),
  ];
  return [...rows, ...changing()];
}

/** Three namespaces on two hosts, and two containers on one bridge. */
const corners = [
  'a/default',
  'a/default2',
  'a/alpha',
  'a/beta',
  'b/default',
  'b/alpha',
  'b/beta',
] as const satisfies Place[];

const allowedPort = 7001;

function matrix(): Row[] {
  const group = 'Between any two containers';
  const ways = corners.flatMap(from => corners.filter(to => to !== from).map(to => ({ from, to })));
  const kinds: { name: string; packet: Packet; rule?: RuleOfRow; why: string }[] = [
    ...(['tcp', 'udp'] as const).map(kind => ({
      name: `deny-${kind}`,
      packet: { kind, port: servedPort },
      why: 'no rule allows it',
    })),
    { name: 'deny-icmp', packet: { kind: 'icmp' }, why: 'no rule allows it' },
    ...(['tcp', 'udp'] as const).map(proto => ({
      name: `allow-${proto}`,
      packet: { kind: proto, port: allowedPort },
      rule: { proto, port: allowedPort },
      why: 'one rule, on the destination’s host, is enough',
    })),
  ];
  return kinds.flatMap(({ name, packet, rule, why }) =>
    ways.map(
      ({ from, to }): Row => ({
        id: `${name}/${from.replace('/', '.')}/${to.replace('/', '.')}`,
        group,
        from,
        to,
        packet,
        why,
        ...(rule === undefined ? {} : { rule }),
        verdict: rule === undefined ? 'dropped' : 'passes',
      }),
    ),
  );
}

function allowRules(): Row[] {
  const group = 'Allow rules';
  const across = { from: 'a/default', to: 'b/alpha' } as const;
  const within = { from: 'a/default', to: 'a/alpha' } as const;
  const bridged = { from: 'a/default', to: 'a/default2' } as const;
  const tcp = (port: number): Packet => ({ kind: 'tcp', port });
  const rows: Omit<Row, 'group'>[] = [
    {
      id: 'rule-on-source',
      ...across,
      packet: tcp(7010),
      rule: { proto: 'tcp', port: 7010, on: 'source' },
      verdict: 'dropped',
      why: 'the destination’s host decides, and knows no rule',
    },
    {
      id: 'rule-on-both',
      ...across,
      packet: tcp(7011),
      rule: { proto: 'tcp', port: 7011, on: 'both' },
      verdict: 'passes',
      why: 'a rule too many does no harm',
    },
    ...(
      [
        ['across', across],
        ['within', within],
        ['bridged', bridged],
      ] as const
    ).flatMap(([name, way], place): Omit<Row, 'group'>[] => {
      const port = 7020 + 5 * place;
      return [
        {
          id: `way-back-${name}`,
          ...way,
          packet: tcp(port),
          verdict: 'dropped',
          rule: { proto: 'tcp', port, reversed: true, on: 'both' },
          why: 'the rule is of the other way',
        },
        {
          id: `other-port-${name}`,
          ...way,
          packet: tcp(port + 2),
          verdict: 'dropped',
          rule: { proto: 'tcp', port: port + 1 },
          why: 'the rule is of another port',
        },
        {
          id: `other-protocol-${name}`,
          ...way,
          packet: { kind: 'udp', port: port + 3 },
          verdict: 'dropped',
          rule: { proto: 'tcp', port: port + 3 },
          why: 'the rule is of another protocol',
        },
        {
          id: `bulk-${name}`,
          ...way,
          packet: { kind: 'tcp', port: port + 4, size: 300_000 },
          rule: { proto: 'tcp', port: port + 4 },
          verdict: 'passes',
          why: 'full segments fit the way',
        },
      ];
    }),
    ...(['tcp', 'udp', 'icmp'] as const).map(
      (kind): Omit<Row, 'group'> => ({
        id: `any-protocol-${kind}`,
        from: 'a/wide',
        to: 'a/wide2',
        rule: {},
        verdict: 'passes',
        packet: kind === 'icmp' ? { kind } : { kind, port: servedPort },
        why: 'a rule without a protocol is of every protocol',
      }),
    ),
    {
      id: 'any-port-tcp',
      from: 'a/wide',
      to: 'b/wide',
      packet: tcp(servedPort),
      rule: { proto: 'tcp' },
      verdict: 'passes',
      why: 'a rule without a port is of every port',
    },
    {
      id: 'any-port-udp',
      from: 'a/wide',
      to: 'b/wide',
      packet: { kind: 'udp', port: servedPort },
      rule: { proto: 'tcp' },
      verdict: 'dropped',
      why: 'the rule is of TCP alone',
    },
  ];
  return rows.map(row => ({ ...row, group }));
}

function networks(): Row[] {
  const group = 'Networks beside the mesh';
  const row = (id: string, way: Pick<Row, 'from' | 'to'> & Partial<Row>, why: string): Row => ({
    id,
    group,
    packet: { kind: 'tcp', port: servedPort },
    verdict: 'dropped',
    why,
    ...way,
  });
  const allowed = {
    packet: { kind: 'tcp', port: 7001 },
    rule: { proto: 'tcp', port: 7001 },
    verdict: 'passes',
  } as const;
  const twice = 'a container on two networks opens no way between them';
  const joined = 'a network that was made for a namespace is denied like the namespace’s own';
  const beside = 'the deny covers every packet to a container of the mesh, from any sender';
  return [
    row('app-in', { from: 'a/default', to: 'a/app' }, joined),
    row('app-out', { from: 'a/app', to: 'a/alpha' }, joined),
    row('app-bridged', { from: 'a/app', to: 'a/app2' }, joined),
    row('app-far', { from: 'a/app', to: 'b/default' }, joined),
    row('app-in-allowed', { from: 'a/default', to: 'a/app', ...allowed }, 'its rules are like any other'),
    row('app-bridged-allowed', { from: 'a/app', to: 'a/app2', ...allowed }, 'its rules are like any other'),
    row('two-first', { from: 'a/default', to: 'a/two' }, twice),
    row('two-second', { from: 'a/wide', to: 'a/two', at: 'second network' }, twice),
    row('two-across', { from: 'a/default', to: 'a/two', at: 'second network' }, twice),
    row('two-out', { from: 'a/two', to: 'a/wide' }, twice),
    row(
      'two-first-allowed',
      { from: 'a/default', to: 'a/two', ...allowed },
      'the rule names the first address',
    ),
    row(
      'two-second-not-allowed',
      { from: 'a/default', to: 'a/two', ...allowed, at: 'second network', verdict: 'dropped' },
      'the rule names the first address, not this one',
    ),
    row('plain-within', { from: 'a/plain', to: 'a/default' }, beside),
    row('plain-far', { from: 'b/plain', to: 'a/default' }, beside),
    row('plain-udp', { from: 'a/plain', to: 'a/alpha', packet: { kind: 'udp', port: servedPort } }, beside),
    row('strange-within', { from: 'a/strange', to: 'a/alpha' }, beside),
    row('strange-far', { from: 'a/strange', to: 'b/alpha' }, beside),
    row('strange-app', { from: 'a/strange', to: 'a/app' }, beside),
  ];
}

function published(): Row[] {
  const group = 'Published ports and the outside';
  // These are Podman's own rules. After a flush they are missing until `podman network reload --all`.
  const beforeReload = { 'nftables restarted': 'not asked' } as const;
  const row = (id: string, way: Pick<Row, 'from' | 'to' | 'packet'> & Partial<Row>, why: string): Row => ({
    id,
    group,
    at: 'underlay',
    seen: 'any',
    verdict: 'passes',
    why,
    ...(way.verdict === 'dropped' ? {} : { elsewhere: beforeReload }),
    ...way,
  });
  const tcp: Packet = { kind: 'tcp', port: publishedPort };
  const udp: Packet = { kind: 'udp', port: publishedPort };
  return [
    row('published-tcp', { from: 'n', to: 'a', packet: tcp }, 'it is published for everyone'),
    row('published-udp', { from: 'n', to: 'a', packet: udp }, 'it is published for everyone'),
    row('published-far', { from: 'a/default', to: 'b', packet: tcp }, 'published for everyone, tenants too'),
    row(
      'published-far-udp',
      { from: 'a/alpha', to: 'b', packet: udp },
      'published for everyone, tenants too',
    ),
    row('hairpin', { from: 'a/alpha', to: 'a', packet: tcp }, 'through the own host’s address'),
    row('hairpin-bridged', { from: 'a/default', to: 'a', packet: tcp }, 'and on the bridge of the publisher'),
    row(
      'hairpin-self',
      {
        from: 'a/published',
        to: 'a',
        packet: tcp,
        verdict: 'dropped',
        elsewhere: { 'bridges unseen by iptables': 'passes' },
      },
      'by the publisher itself: the kernel sends nothing back by the bridge port that it came by, and Podman sets no hairpin mode',
    ),
    row('hairpin-plain', { from: 'a/plain', to: 'a', packet: tcp }, 'and from Podman’s own network'),
    row(
      'not-published',
      {
        from: 'a/default',
        to: 'a/published',
        at: 'own',
        packet: { kind: 'tcp', port: servedPort },
        verdict: 'dropped',
      },
      'what is published is the host’s port, not the container’s',
    ),
    row(
      'outside-tcp',
      { from: 'a/default', to: 'n', packet: { kind: 'tcp', port: servedPort } },
      'no rule denies egress',
    ),
    row(
      'outside-udp',
      { from: 'b/beta', to: 'n', packet: { kind: 'udp', port: servedPort } },
      'no rule denies egress',
    ),
    row('outside-icmp', { from: 'a/app', to: 'n', packet: { kind: 'icmp' } }, 'no rule denies egress'),
    row(
      'outside-plain',
      {
        from: 'a/plain',
        to: 'n',
        packet: { kind: 'tcp', port: servedPort },
        elsewhere: { ...beforeReload, 'ufw on': 'not asked', 'Docker beside it': 'not asked' },
      },
      'no rule denies egress; beside ufw and Docker, which drop what they do not know, Podman’s own network is theirs',
    ),
  ];
}

const restPort = 8443;
/** A metrics port on the hosts' mesh addresses; COOLD_SCAFFOLD_API_PORTS lists it in this scene. */
export const metricsPort = 9464;

function hosts(): Row[] {
  const group = 'The hosts themselves';
  const row = (id: string, way: Pick<Row, 'from' | 'to' | 'packet'> & Partial<Row>, why: string): Row => ({
    id,
    group,
    seen: 'any',
    verdict: 'dropped',
    why,
    ...way,
  });
  const rest: Packet = { kind: 'connect', port: restPort };
  const metrics: Packet = { kind: 'connect', port: metricsPort };
  const absent = {
    'coold stopped': 'not asked',
    'networks come and go without coold': 'not asked',
    'booted without coold': 'not asked',
  } as const;
  const dead = { ...absent, 'coold killed': 'not asked' } as const;
  const tenants = 'containers reach no host’s API or metrics, unless COOLD_API_ALLOW_FROM names them';
  return [
    row(
      'rest-own',
      { from: 'a/default', to: 'a', packet: rest, elsewhere: { 'API allowed': 'passes' } },
      tenants,
    ),
    row(
      'rest-far',
      { from: 'a/default', to: 'b', packet: rest, elsewhere: { 'API allowed': 'passes' } },
      tenants,
    ),
    row('rest-own-other', { from: 'a/alpha', to: 'a', packet: rest }, tenants),
    row('rest-far-other', { from: 'a/beta', to: 'b', packet: rest }, tenants),
    row('rest-app', { from: 'a/app', to: 'a', packet: rest }, tenants),
    row('rest-plain', { from: 'a/plain', to: 'a', packet: rest }, tenants),
    row('metrics-own', { from: 'a/alpha', to: 'a', packet: metrics }, tenants),
    row('metrics-far', { from: 'a/alpha', to: 'b', packet: metrics }, tenants),
    row(
      'rest-mesh',
      {
        from: 'b',
        to: 'a',
        packet: rest,
        verdict: 'passes',
        elsewhere: { ...dead, 'wg0 down': 'dropped', 'ufw on': 'dropped' },
      },
      'another host of the mesh may ask, unless the operator’s own filter is against it',
    ),
    row(
      'rest-local',
      {
        from: 'a',
        to: 'a',
        packet: rest,
        verdict: 'passes',
        elsewhere: { ...dead, 'wg0 down': 'not asked' },
      },
      'the CLI’s curl, on the host itself',
    ),
    row(
      'dns',
      {
        from: 'a/alpha',
        to: 'a',
        at: 'gateway',
        packet: { kind: 'query', port: 53 },
        verdict: 'passes',
        elsewhere: dead,
      },
      'the gateway of its namespace answers names',
    ),
    row(
      'dns-app',
      {
        from: 'a/app',
        to: 'a',
        at: 'gateway',
        packet: { kind: 'query', port: 53 },
        verdict: 'passes',
        elsewhere: dead,
      },
      'and that of a network made for a namespace',
    ),
    row(
      'host-to-own',
      { from: 'a', to: 'a/default', packet: { kind: 'tcp', port: servedPort }, verdict: 'passes' },
      'a host reaches its own containers, as its operator does',
    ),
    row(
      'host-to-far',
      { from: 'b', to: 'a/default', packet: { kind: 'tcp', port: servedPort } },
      'the deny covers every packet to a container of the mesh, from any sender',
    ),
  ];
}

function odd(): Row[] {
  const group = 'Odd packets';
  const row = (id: string, way: Pick<Row, 'from' | 'to' | 'packet'> & Partial<Row>, why: string): Row => ({
    id,
    group,
    verdict: 'dropped',
    why,
    ...way,
  });
  const ways = {
    bridged: { from: 'a/default', to: 'a/default2' },
    within: { from: 'a/default', to: 'a/alpha' },
    across: { from: 'a/default', to: 'b/alpha' },
  } as const;
  const on = Object.entries(ways);
  // Without connection tracking on bridges, only packets that open a connection are judged.
  const stateless = (name: string): Partial<Row> =>
    name === 'bridged' ? { elsewhere: { 'bridges unseen by iptables': 'not asked' } } : {};
  return [
    ...on.flatMap(([name, way], place) => [
      row(
        `fragments-${name}`,
        {
          ...way,
          packet: { kind: 'udp', port: 7040 + place, size: 4000 },
          verdict: 'passes',
          rule: { proto: 'udp', port: 7040 + place },
        },
        'a datagram in fragments passes where the rule has a port',
      ),
      row(
        `fragments-denied-${name}`,
        { ...way, packet: { kind: 'udp', port: 7045, size: 4000 } },
        'a datagram in fragments is denied like a whole one',
      ),
      row(
        `icmp-error-${name}`,
        {
          ...way,
          packet: { kind: 'closed', port: 7050 + place },
          verdict: 'passes',
          rule: { proto: 'udp', port: 7050 + place },
        },
        'an error about an allowed datagram comes back',
      ),
      row(
        `icmp-error-forged-${name}`,
        { ...way, ...stateless(name), packet: { kind: 'raw', form: 'icmp error', port: 0 } },
        'an error about a datagram that was never sent',
      ),
      row(
        `ack-${name}`,
        { ...way, ...stateless(name), packet: { kind: 'raw', form: 'ack', port: servedPort } },
        'a segment of a connection that was never opened',
      ),
    ]),
    row(
      'fragment-alone',
      { ...ways.within, packet: { kind: 'raw', form: 'later fragment', port: 0 } },
      'a part of nothing',
    ),
    row(
      'link-local-udp',
      { ...ways.bridged, at: 'link-local', packet: { kind: 'udp', port: servedPort } },
      'the kernel’s IPv6 link-local addresses are no way around the deny',
    ),
    row(
      'link-local-tcp',
      { ...ways.bridged, at: 'link-local', packet: { kind: 'tcp', port: servedPort } },
      'the kernel’s IPv6 link-local addresses are no way around the deny',
    ),
    row(
      'broadcast',
      { ...ways.bridged, at: 'broadcast', packet: { kind: 'udp', port: servedPort } },
      'neither is the broadcast address of the network',
    ),
    row(
      'everyone',
      { ...ways.bridged, at: 'everyone', packet: { kind: 'udp', port: servedPort } },
      'nor 255.255.255.255',
    ),
    row(
      'both-first',
      { from: 'a/default', to: 'b/beta', packet: { kind: 'both first' }, verdict: 'passes', only: ['fresh'] },
      'what a host cannot see: two containers of two hosts that both send first look like an answer to each of them',
    ),
    row(
      'both-first-within',
      { ...ways.within, packet: { kind: 'both first' } },
      'on one host both ends are seen to send first, and neither is an answer',
    ),
    row(
      'both-first-bridged',
      { ...ways.bridged, packet: { kind: 'both first' } },
      'on one host both ends are seen to send first, and neither is an answer',
    ),
  ];
}

function underlay(): Row[] {
  const group = 'The underlay';
  const row = (id: string, way: Partial<Row> & Pick<Row, 'packet'>, why: string): Row => ({
    id,
    group,
    from: 'n',
    to: 'a/default',
    verdict: 'dropped',
    seen: 'any',
    why,
    ...way,
  });
  const forged = 'a mesh address that came in by none of wg0, our bridges and lo';
  return [
    row(
      'neighbour-tcp',
      { packet: { kind: 'tcp', port: servedPort } },
      'a neighbour that routes to a container',
    ),
    row(
      'neighbour-udp',
      { packet: { kind: 'udp', port: servedPort } },
      'a neighbour that routes to a container',
    ),
    row('neighbour-icmp', { packet: { kind: 'icmp' } }, 'a neighbour that routes to a container'),
    row(
      'neighbour-app',
      { to: 'a/app', packet: { kind: 'tcp', port: servedPort } },
      'and to one of an app network',
    ),
    row(
      'neighbour-rest',
      { to: 'a', packet: { kind: 'connect', port: restPort } },
      'the API is for the mesh',
    ),
    row(
      'neighbour-dns',
      { to: 'a', at: 'gateway', packet: { kind: 'query', port: 53 } },
      'DNS is for containers',
    ),
    row(
      'forged-container',
      {
        to: 'a/default',
        // A rule allows this flow to the owner of the address.
        packet: { kind: 'raw', form: 'udp', port: allowedPort, as: { place: 'b/alpha' } },
      },
      forged,
    ),
    row(
      'forged-syn',
      { to: 'a/default', packet: { kind: 'raw', form: 'syn', port: 7001, as: { place: 'b/alpha' } } },
      forged,
    ),
    row(
      'forged-sibling',
      { to: 'a/default', packet: { kind: 'raw', form: 'udp', port: 7001, as: { place: 'a/alpha' } } },
      forged,
    ),
    row(
      'forged-host',
      { to: 'a/default', packet: { kind: 'raw', form: 'udp', port: servedPort, as: { place: 'b' } } },
      forged,
    ),
    row(
      'forged-to-host',
      { to: 'a', packet: { kind: 'raw', form: 'udp', port: servedPort, as: { place: 'b' } } },
      forged,
    ),
    row(
      'forged-to-underlay',
      { to: 'a', at: 'underlay', packet: { kind: 'raw', form: 'udp', port: servedPort, as: { place: 'b' } } },
      forged,
    ),
    row(
      'forged-published',
      { to: 'a/published', packet: { kind: 'raw', form: 'udp', port: servedPort, as: { place: 'b/alpha' } } },
      forged,
    ),
  ];
}

function changing(): Row[] {
  const group = 'While it changes';
  const ways = {
    bridged: { from: 'a/default', to: 'a/default2' },
    within: { from: 'a/default', to: 'a/alpha' },
    across: { from: 'b/default', to: 'a/alpha' },
  } as const;
  return Object.entries(ways).flatMap(([name, way], place): Row[] => [
    {
      id: `flood-${name}`,
      group,
      ...way,
      packet: { kind: 'flood', port: servedPort },
      verdict: 'dropped',
      why: 'not one packet, however it changes',
    },
    ...(['tcp', 'udp'] as const).map((proto, second): Row => {
      const port = 7060 + 2 * place + second;
      return {
        id: `held-${proto}-${name}`,
        group,
        ...way,
        packet: { kind: 'held', proto, port },
        rule: { proto, port },
        verdict: 'passes',
        elsewhere: { 'revoked while open': 'dropped', 'nothing allowed': 'not asked' },
        why: 'an open connection goes on, and ends in both directions when its rule is revoked',
      };
    }),
  ]);
}
