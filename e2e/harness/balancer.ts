import { expectExec, type Host } from './provider.ts';

/**
 * Makes a host a TCP balancer: its kernel spreads connections to the port over the backends in turn. It makes no health
 * checks, which is the harder case for clients: a dead backend refuses its share until it is back.
 *
 * @param backends IPv4 addresses that the host can reach
 * @throws HarnessError
 */
export async function startBalancer(host: Host, backends: readonly string[], port: number): Promise<void> {
  await expectExec(host, ['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  const places = backends.map((address, n) => `${n} : ${address}`).join(', ');
  const rules = `table ip balancer {
  chain in {
    type nat hook prerouting priority dstnat
    tcp dport ${port} dnat to numgen inc mod ${backends.length} map { ${places} }
  }
  chain out {
    type nat hook postrouting priority srcnat
    masquerade
  }
}
`;
  await expectExec(host, ['nft', '-f', '-'], { input: rules });
}
