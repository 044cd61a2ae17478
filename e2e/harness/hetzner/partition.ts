/** Where a partitioned host keeps the rules of its partition, so that they are there again after a reboot. */
export const rulesPath = '/etc/coolify-e2e-cut.nft';
export const rulesTable = 'coolify_e2e_cut';

/** Brings the partition back at boot, before there is a network. */
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
 * Rules that part a host from everything but ourselves. A server has one interface, and over it we have to be able to
 * heal the host again: so the link stays up, and what passes it is dropped, save for our SSH. What goes on within the
 * host (loopback, bridges, what enters a tunnel) goes on, as it does when a cable is pulled.
 *
 * A table of its own, first to see what comes in and last to see what goes out: whatever the product does with the
 * others, and whatever it translates, neither sees more nor less than with a pulled cable.
 *
 * @param ours our address as the host sees it
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

/** The device that leads to an address, by `ip -json route get`. */
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
