import { type Finding, fail, formatAge, ok, warn } from '@coold/runtime';
import type { WireguardPeer } from '../discovery/hosts/host-facts.ts';

/**
 * A peer that sends anything renews its keys every two minutes. Longer silence may mean that there is nothing to send.
 */
const staleS = 180n;

export interface Wireguard {
  interface: string;
  /** Its IPv4 addresses; undefined when the interface does not exist. */
  addresses: readonly string[] | undefined;
  /** Undefined when `wg` cannot tell. */
  peers: readonly WireguardPeer[] | undefined;
  /** COOLD_HOST_MGMT_IP; undefined when not installed. */
  hostMgmtIp: string | undefined;
}

/** Pure. */
export function judgeWireguard({ interface: name, addresses, peers, hostMgmtIp }: Wireguard): Finding[] {
  if (addresses === undefined)
    return hostMgmtIp === undefined
      ? [ok(`${name} is not there yet: the mesh is set up at the installation`)]
      : [fail(`${name} is not there`, `set WireGuard up: systemctl start wg-quick@${name}`)];
  const own =
    hostMgmtIp === undefined || addresses.includes(hostMgmtIp)
      ? ok(`${name} is up with ${addresses.join(', ') || 'no address'}`)
      : fail(
          `${name} has ${addresses.join(', ') || 'no address'} and not COOLD_HOST_MGMT_IP ${hostMgmtIp}`,
          'correct COOLD_HOST_MGMT_IP, or the address of the interface',
        );
  if (peers === undefined)
    return [
      own,
      warn(
        `the peers of ${name} are not known: wg cannot list them`,
        'run this as root, and install wireguard-tools',
      ),
    ];
  if (peers.length === 0) return [own, ok('no peers: this host is alone in the mesh')];
  return [own, ...peers.map(judgePeer)];
}

function judgePeer({ publicKey, endpoint, allowedIps, lastHandshakeS }: WireguardPeer): Finding {
  const peer = `peer ${publicKey.slice(0, 8)}… (${allowedIps.join(', ') || 'no addresses'})`;
  if (lastHandshakeS === undefined)
    return fail(
      `${peer} has never answered`,
      endpoint === ''
        ? 'its endpoint is not known: set Endpoint=, or wait until it dials'
        : `check that ${endpoint} is reachable by UDP, and that each has the other's public key`,
    );
  const age = formatAge(Number(lastHandshakeS));
  return lastHandshakeS > staleS
    ? warn(
        `${peer} answered ${age} ago`,
        'ping one of its addresses: if that fails, the host is down or UDP does not pass',
      )
    : ok(`${peer} answered ${age} ago`);
}
