/**
 * Networks that are not on the internet: those of IANA's IPv4 special-purpose address registry that are not globally
 * reachable, and multicast. A build reaches one of them only when COOLD_BUILDER_ALLOW_NETS names it.
 */
export const notPublic: readonly string[] = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15'],
  ...['198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
];

/**
 * Networks that COOLD_BUILDER_ALLOW_NETS does not open: link-local addresses, where most clouds have their metadata services,
 * and the addresses of metadata services elsewhere (Azure, Alibaba, Oracle), one of which is public.
 */
export const neverAllowed: readonly string[] = [
  ...['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '255.255.255.255/32'],
  ...['168.63.129.16/32', '100.100.100.200/32', '192.0.0.192/32'],
];

/** The reverse zones of private networks. Builds get no answer from them, since it would reveal neighbours. */
export const privateReverseZones: readonly string[] = [
  ...['10.in-addr.arpa', '127.in-addr.arpa', '254.169.in-addr.arpa', '168.192.in-addr.arpa'],
  ...Array.from({ length: 16 }, (_, index) => `${16 + index}.172.in-addr.arpa`),
  ...Array.from({ length: 64 }, (_, index) => `${64 + index}.100.in-addr.arpa`),
];
