import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nothing, type Present, renderIptables, renderNft, type Scaffold } from './scaffold.ts';

const scaffold: Scaffold = {
  subnets: ['10.210.1.0/24', '10.210.0.0/24'],
  pools: ['10.210.0.0/16'],
  joined: [],
  mgmtNetworks: ['100.64.0.0/16'],
  apiPorts: [8443],
  wgInterface: 'wg0',
  chainName: 'COOLIFY-ALLOW',
};

test('on an empty kernel: both chains, the hook, and no NAT towards the mesh', () => {
  expect(renderIptables(scaffold, nothing)).toBe(`*filter
:COOLIFY-INTRA - [0:0]
-N COOLIFY-ALLOW
-A COOLIFY-INTRA -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A COOLIFY-INTRA -j COOLIFY-ALLOW
-A COOLIFY-INTRA -m conntrack --ctstate DNAT -j ACCEPT
-A COOLIFY-INTRA -o wg0 -j ACCEPT
-A COOLIFY-INTRA -j DROP
-I FORWARD 1 -d 10.210.0.0/16 -j COOLIFY-INTRA
-I FORWARD 2 -s 10.210.0.0/24 -m comment --comment coolify-egress -j ACCEPT
-I FORWARD 3 -s 10.210.1.0/24 -m comment --comment coolify-egress -j ACCEPT
-I INPUT 1 -s 10.210.0.0/16 -d 10.210.0.0/16 -p udp -m udp --dport 53 -m comment --comment coolify-dns -j ACCEPT
-I INPUT 2 -s 10.210.0.0/16 -d 10.210.0.0/16 -p tcp -m tcp --dport 53 -m comment --comment coolify-dns -j ACCEPT
COMMIT
*nat
-I POSTROUTING 1 -s 10.210.0.0/16 -o wg0 -j RETURN
COMMIT
`);
});

test('a subnet outside of every pool is denied too', () => {
  const text = renderIptables({ ...scaffold, subnets: ['10.210.0.0/24', '10.99.0.0/24'] }, nothing);
  expect(text).toContain('-I FORWARD 1 -d 10.99.0.0/24 -j COOLIFY-INTRA\n-I FORWARD 2 -d 10.210.0.0/16 ');
});

/** The lists that a kernel shows after it was given the lines of an empty one. */
function listed(text: string, above: { forward?: string[]; postrouting?: string[] } = {}): Present {
  const all = text
    .split('\n')
    .map(line => line.replace(/^-I (\S+) \d+ /, '-A $1 ').replace(/^:(\S+) - .*/, '-N $1'));
  return {
    filter: [
      '-P FORWARD ACCEPT',
      ...(above.forward ?? []),
      ...all.filter(line => /^-[NA] (COOLIFY|FORWARD|INPUT)/.test(line)),
    ],
    postrouting: [
      '-P POSTROUTING ACCEPT',
      ...(above.postrouting ?? []),
      ...all.filter(line => /^-A POST/.test(line)),
    ],
  };
}

test('a kernel that has it is left alone', () => {
  expect(renderIptables(scaffold, listed(renderIptables(scaffold, nothing)))).toBe('');
});

test('what netavark puts on top is outranked again, and nothing else is touched', () => {
  const present = listed(renderIptables(scaffold, nothing), {
    forward: ['-A FORWARD -m comment --comment "netavark firewall rules" -j NETAVARK_FORWARD'],
    postrouting: ['-A POSTROUTING -j NETAVARK-HOSTPORT-MASQ'],
  });
  expect(renderIptables(scaffold, present)).toBe(`*filter
-D FORWARD -d 10.210.0.0/16 -j COOLIFY-INTRA
-I FORWARD 1 -d 10.210.0.0/16 -j COOLIFY-INTRA
COMMIT
*nat
-D POSTROUTING -s 10.210.0.0/16 -o wg0 -j RETURN
-I POSTROUTING 1 -s 10.210.0.0/16 -o wg0 -j RETURN
COMMIT
`);
});

test('hooks of networks that left the mesh are removed', () => {
  const present = listed(renderIptables({ ...scaffold, pools: ['10.0.0.0/8'] }, nothing));
  const text = renderIptables(scaffold, present);
  expect(text).toContain('-D FORWARD -d 10.0.0.0/8 -j COOLIFY-INTRA\n');
  expect(text).toContain('-D POSTROUTING -s 10.0.0.0/8 -o wg0 -j RETURN\n');
});

test('DNS of containers is accepted wherever its rules are, and not any more when its network is gone', () => {
  const present = listed(renderIptables(scaffold, nothing));
  const below = { ...present, filter: ['-A INPUT -j ufw-before-input', ...present.filter] };
  expect(renderIptables(scaffold, below)).toBe('');
  const lost = { ...present, filter: present.filter.filter(line => !line.includes('-p tcp')) };
  expect(renderIptables(scaffold, lost).match(/^-[DI] INPUT/gm)).toEqual([
    '-D INPUT',
    '-I INPUT',
    '-I INPUT',
  ]);
  const text = renderIptables({ ...scaffold, pools: ['10.211.0.0/16'], subnets: ['10.211.0.0/24'] }, present);
  expect(text).toContain('-D INPUT -s 10.210.0.0/16 -d 10.210.0.0/16 -p udp');
});

test('a chain that was tampered with is created anew', () => {
  const present = listed(renderIptables(scaffold, nothing));
  const filter = present.filter.filter(line => !line.endsWith('-j DROP'));
  expect(renderIptables(scaffold, { ...present, filter })).toContain(
    ':COOLIFY-INTRA - [0:0]\n-A COOLIFY-INTRA',
  );
});

const forwardRules = (lines: readonly string[]) =>
  lines.flatMap(line => /^add rule bridge coolify_bridge forward (.*)$/.exec(line)?.[1] ?? []);

test('the bridged plane: no IPv6 around it, non-IP passes, answers and the rest of the subnets are judged by the rules', () => {
  const lines = renderNft(scaffold, true, ['podman1', 'podman2']).split('\n');
  expect(lines).toContain('add element bridge coolify_bridge mesh_bridges { "podman1", "podman2" }');
  expect(forwardRules(lines)).toEqual([
    'meta ibrname @mesh_bridges meta protocol ip6 drop',
    'meta protocol != ip accept',
    'meta mark & 0x1000 == 0x1000 accept',
    'ct state related icmp type { destination-unreachable, time-exceeded, parameter-problem } accept',
    'ct direction reply jump coolify_answers',
    'ip saddr . ip daddr @allowed_hosts accept',
    'ip saddr . ip daddr . ip protocol @allowed_protocols accept',
    'ip saddr . ip daddr . ip protocol . th dport @allowed_ports accept',
    'ip saddr { 10.210.0.0/24, 10.210.1.0/24 } jump coolify_intra',
    'ip daddr { 10.210.0.0/24, 10.210.1.0/24 } jump coolify_intra',
  ]);
  expect(lines).toContain(
    'add chain bridge coolify_bridge forward { type filter hook forward priority -200; policy accept; }',
  );
});

test('where the kernel cannot tell one bridge from another, IPv6 is kept to what every link needs', () => {
  const rules = forwardRules(renderNft(scaffold, true, undefined).split('\n'));
  expect(rules.slice(0, 3)).toEqual([
    'ip6 saddr fe80::/10 udp dport { 546, 547 } accept',
    'ip6 saddr fe80::/10 meta l4proto != ipv6-icmp drop',
    'meta protocol != ip accept',
  ]);
});

test('the sets of allowed flows are made in the bridged plane, too, and never emptied', () => {
  for (const conntrack of [true, false]) {
    const text = renderNft(scaffold, conntrack, []);
    for (const set of ['allowed_hosts', 'allowed_protocols', 'allowed_ports']) {
      expect(text).toContain(`add set bridge coolify_bridge ${set} {`);
      expect(text).not.toMatch(new RegExp(`^(flush|delete|add element) .*${set}`, 'm'));
    }
  }
});

test('without bridge conntrack nothing of the text needs it', () => {
  expect(renderNft(scaffold, false, [])).not.toMatch(/\bct /);
});

const network = fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => `10.${a}.${b}.0/24`);
const networks = fc.array(network, { minLength: 1, maxLength: 6 });

test('for any networks: the allow rules are never flushed, declared or deleted, and the second time nothing is left to do', () => {
  fc.assert(
    fc.property(networks, networks, networks, fc.boolean(), (subnets, pools, earlier, conntrack) => {
      const wanted = { ...scaffold, subnets, pools };
      const present = listed(renderIptables({ ...wanted, pools: earlier }, nothing));
      const text = renderIptables(wanted, present) + renderNft(wanted, conntrack, []);
      expect(text).not.toMatch(/^:COOLIFY-ALLOW/m);
      expect(text).not.toMatch(/^(-[FXD] COOLIFY-ALLOW|flush (table|ruleset)|delete table)/m);
      expect(text).not.toMatch(/^(flush|delete) chain bridge coolify_bridge coolify_allow/m);
      expect(renderIptables(wanted, listed(renderIptables(wanted, nothing)))).toBe('');
    }),
  );
});
