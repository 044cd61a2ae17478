import { covers } from '../rule/cidr.ts';
import type { HopVerdict } from './packet/judge-way.ts';

/** A peer of the mesh's WireGuard interface, as far as packets depend on it. */
export interface MeshPeer {
  endpoint: string;
  allowedIps: readonly string[];
  /** Seconds since the last handshake; undefined when there was none. */
  lastHandshakeS: bigint | undefined;
  /** The persistent keepalive in seconds; absent when it is off. */
  keepaliveS?: number | undefined;
}

/** WireGuard's REJECT_AFTER_TIME: a key older than this means that the peer has not answered since. */
const keyLifeS = 180n;
/** With a keepalive of at most this many seconds a new handshake happens before the key expires. */
const longestKeepaliveS = 120;

/**
 * Whether WireGuard carries packets between this host and the host that has an address. Pure.
 *
 * @param peers undefined when the interface does not exist
 * @param isGone whether that host has been missing from the mesh for so long that DNS leaves its addresses out
 */
export function judgeWireguard(
  address: string,
  peers: readonly MeshPeer[] | undefined,
  isGone: boolean,
): { verdict: HopVerdict; why: string } {
  if (peers === undefined)
    return { verdict: 'blocked', why: 'this host has no interface of WireGuard for the mesh' };
  // The peer with the longest matching network wins.
  const [peer] = peers
    .flatMap(each => each.allowedIps.map(network => ({ each, network })))
    .filter(({ network }) => /^[\d.]+\/\d+$/.test(network) && covers(network, `${address}/32`))
    .toSorted((a, b) => lengthOf(b.network) - lengthOf(a.network))
    .map(({ each }) => each);
  if (peer === undefined)
    return { verdict: 'blocked', why: `no peer of WireGuard has ${address} among its allowed addresses` };
  const { endpoint, lastHandshakeS, keepaliveS } = peer;
  if (endpoint === '')
    return {
      verdict: 'blocked',
      why: `the peer that has ${address} has no endpoint, and never called this host`,
    };
  if (lastHandshakeS !== undefined && lastHandshakeS <= keyLifeS)
    return {
      verdict: 'passes',
      why: `the peer at ${endpoint} has ${address}; its last handshake was ${lastHandshakeS} s ago`,
    };
  const since =
    lastHandshakeS === undefined ? 'had no handshake yet' : `had its last handshake ${lastHandshakeS} s ago`;
  const silent = `the peer at ${endpoint}, which has ${address}, ${since}`;
  if ((keepaliveS !== undefined && keepaliveS <= longestKeepaliveS) || isGone)
    return { verdict: 'blocked', why: `${silent}: its host is down or cut off` };
  return { verdict: 'unknown', why: `${silent}, and no packet is sent unless there is one to send` };
}

const lengthOf = (network: string) => Number(network.split('/')[1] ?? 0);
