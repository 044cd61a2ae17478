import type { ValueType } from '@coold/runtime';
import { type Cidr, cidr, covers, overlap } from '../../firewall/rule/cidr.ts';
import type { Namespace } from '../namespaces.ts';

/** Private ranges, in which a network hides no address of the Internet (RFC 1918, RFC 6598). */
export const privateRanges: readonly Cidr[] = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
];

/** A smaller network could not hold a gateway and containers. */
const longestPrefix = 28;

/** `COOLD_NETWORK_POOL`: the slice of a host, from which its app networks are made (docs/contract.md §3). */
export const networkPool: ValueType<Cidr> = {
  expected: `an IPv4 network of a private range, of /8 to /${longestPrefix}, such as 10.211.16.0/20 (no host bits)`,
  parse(text) {
    const network = cidr.parse(text);
    if (network === undefined || Number(network.split('/')[1]) > longestPrefix) return undefined;
    return privateRanges.some(range => covers(range, network)) ? network : undefined;
  },
};

/** Describes what of this host's own configuration overlaps a slice; undefined when nothing does. Pure. */
export function poolConflict(
  pool: Cidr,
  { hostMgmtIp, namespaces }: { hostMgmtIp: string; namespaces: readonly Namespace[] },
): string | undefined {
  if (overlap(pool, `${hostMgmtIp}/32`)) return `this host's address ${hostMgmtIp} of COOLD_HOST_MGMT_IP`;
  const hit = namespaces.find(({ gateway }) => overlap(pool, `${gateway}/32`));
  return hit === undefined ? undefined : `the gateway ${hit.gateway} of namespace ${hit.name}`;
}
