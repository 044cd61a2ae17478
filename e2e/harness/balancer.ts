import { expectExec, type Host } from './provider.ts';

/**
 * Makes a host a TCP balancer: what it is connected to on the port goes to the backends in turn, by its kernel. It does not
 * look whether they live, which is the harder case for who connects: a dead one refuses its share until it is back.
 *
 * @param backends IPv4 addresses that the host reaches
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
