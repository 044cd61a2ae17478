// The effect of `coolify init`'s default deny, written independently: what its unit does at each start.

const table = 'bridge coolify_bridge';

/**
 * The file that the CLI keeps beside its unit, bridge-fw.nft: the bridged plane's chains but that of the allow rules.
 *
 * @param conntrack whether the kernel tracks bridged connections. The CLI needs one that does; elsewhere tests let pass TCP
 *   segments that open nothing.
 */
export function foreignBridge(subnets: readonly string[], conntrack: boolean): string {
  const set = `{ ${[...subnets].sort().join(', ')} }`;
  return [
    '# Not by coold.',
    `add table ${table}`,
    `add chain ${table} coolify_intra`,
    `flush chain ${table} coolify_intra`,
    `add rule ${table} coolify_intra jump coolify_allow`,
    `add rule ${table} coolify_intra drop`,
    `add chain ${table} forward { type filter hook forward priority -200; policy accept; }`,
    `flush chain ${table} forward`,
    `add rule ${table} forward meta protocol != ip accept`,
    `add rule ${table} forward ${conntrack ? 'ct state established,related' : 'tcp flags & (syn | ack) != syn'} accept`,
    `add rule ${table} forward ip saddr ${set} jump coolify_intra`,
    `add rule ${table} forward ip daddr ${set} jump coolify_intra`,
    '',
  ].join('\n');
}

/**
 * What the unit runs, for sh: the routed plane, with the hooks at FORWARD's end, then the bridged one, then coold's snapshots.
 *
 * @param bridgePath where that file is
 * @param snapshots where coold keeps the allow rules
 */
export function foreignUnitScript(
  subnets: readonly string[],
  bridgePath: string,
  snapshots: { iptables: string; nft: string },
): string {
  const once = (where: string, rule: string, how: string) =>
    `iptables ${where} -C ${rule} 2>/dev/null || iptables ${where} ${how} ${rule}`;
  const established = 'FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT';
  return [
    'set -e',
    // Of a time when it was told to deny nothing.
    ...subnets.flatMap(subnet =>
      ['-d', '-s'].map(side => `iptables -D FORWARD ${side} ${subnet} -j ACCEPT 2>/dev/null || true`),
    ),
    ...subnets.map(subnet => once('-t nat', `POSTROUTING -s ${subnet} -o wg0 -j RETURN`, '-I')),
    'iptables -N COOLIFY-ALLOW 2>/dev/null || true',
    'iptables -N COOLIFY-INTRA 2>/dev/null || true',
    'iptables -F COOLIFY-INTRA',
    'iptables -A COOLIFY-INTRA -j COOLIFY-ALLOW',
    'iptables -A COOLIFY-INTRA -j DROP',
    `[ ! -s ${snapshots.iptables} ] || { iptables -F COOLIFY-ALLOW; iptables-restore --noflush <${snapshots.iptables}; }`,
    once('-t filter', established, '-I'),
    ...subnets.flatMap(subnet =>
      ['-d', '-s'].map(side => once('-t filter', `FORWARD ${side} ${subnet} -j COOLIFY-INTRA`, '-A')),
    ),
    `nft add table ${table}`,
    `nft 'add chain ${table} coolify_allow { }'`,
    `nft delete chain ${table} forward 2>/dev/null || true`,
    `nft delete chain ${table} coolify_intra 2>/dev/null || true`,
    `nft -f ${bridgePath}`,
    `[ ! -s ${snapshots.nft} ] || nft -f ${snapshots.nft}`,
    '',
  ].join('\n');
}

/** The state after the CLI was told to deny nothing, or never denied. The iptables chain of the allow rules stays. */
export function foreignPermissiveScript(subnets: readonly string[]): string {
  return [
    ...subnets.flatMap(subnet =>
      ['-d', '-s'].flatMap(side => [
        `iptables -D FORWARD ${side} ${subnet} -j COOLIFY-INTRA 2>/dev/null || true`,
        `iptables -C FORWARD ${side} ${subnet} -j ACCEPT 2>/dev/null || iptables -I FORWARD ${side} ${subnet} -j ACCEPT`,
      ]),
    ),
    'iptables -F COOLIFY-INTRA 2>/dev/null || true',
    'iptables -X COOLIFY-INTRA 2>/dev/null || true',
    `nft delete table ${table} 2>/dev/null || true`,
    '',
  ].join('\n');
}
