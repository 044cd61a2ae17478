/** The file with a host's partition rules, which a reboot loads again. */
export const rulesPath = '/etc/coolify-e2e-cut.nft';
export const rulesTable = 'coolify_e2e_cut';

/** The unit that restores the partition at boot, before the network starts. */
export const unitName = 'coolify-e2e-cut.service';
export const unit = `[Unit]
Description=Partition of an end-to-end test
ConditionPathExists=${rulesPath}
DefaultDependencies=no
After=local-fs.target
Before=network-pre.target
Wants=network-pre.target

[Service]
Type=oneshot
ExecStart=/usr/sbin/nft -f ${rulesPath}

[Install]
WantedBy=sysinit.target
`;

/**
 * Returns rules that cut a host off from everything except ourselves. A server has one interface, and we need it to
 * heal the host. So the link stays up and everything on it is dropped except our SSH. Traffic within the host
 * (loopback, bridges, packets into a tunnel) continues, as with a pulled cable. The rules have a table of their own,
 * which sees incoming packets first and outgoing packets last. So the product's own tables and translations see the
 * same as with a pulled cable.
 *
 * @param ours our address as seen by the host
 * @param port of the host's sshd
 */
export function partitionRules(device: string, ours: string, port: number): string {
  const family = ours.includes(':') ? 'ip6' : 'ip';
  return `table inet ${rulesTable} {}
delete table inet ${rulesTable}
table inet ${rulesTable} {
  chain arriving {
    type filter hook prerouting priority -350; policy accept;
    iifname != "${device}" accept
    ${family} saddr ${ours} tcp dport ${port} accept
    drop
  }
  chain leaving {
    type filter hook postrouting priority 400; policy accept;
    oifname != "${device}" accept
    ${family} daddr ${ours} tcp sport ${port} accept
    drop
  }
}
`;
}

/** Returns the device on the route to an address, from the output of `ip -json route get`. */
export function deviceOf(routes: string): string | undefined {
  try {
    const answer: unknown = JSON.parse(routes);
    const route: unknown = Array.isArray(answer) ? answer[0] : undefined;
    const device = typeof route === 'object' && route !== null && 'dev' in route ? route.dev : undefined;
    return typeof device === 'string' && /^[^\s/"]{1,15}$/.test(device) ? device : undefined;
  } catch {
    return undefined;
  }
}
