import { generateKeyPairSync } from 'node:crypto';

/** A WireGuard key pair, both in the base64 that wg(8) reads. */
export interface KeyPair {
  privateKey: string;
  publicKey: string;
}

/** One side of the mesh as the others see it. */
export interface Peer {
  publicKey: string;
  /** `address:port` on the underlay. */
  endpoint: string;
  allowedIps: string[];
}

export const wireguardPort = 51_820;

/** A Curve25519 pair, which is all that a WireGuard key is. */
export function generateKeys(): KeyPair {
  const { x = '', d = '' } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const base64 = (base64url: string) => Buffer.from(base64url, 'base64url').toString('base64');
  return { privateKey: base64(d), publicKey: base64(x) };
}

/**
 * The text of wg-quick(8)'s configuration of one host; it routes what its peers are allowed. Pure.
 *
 * The keepalive is short so that a host that comes back calls its peers by itself, and is found within seconds: to them
 * the old session looks alive for up to three minutes.
 */
export function wgQuickConfig(own: { privateKey: string; address: string }, peers: readonly Peer[]): string {
  const sections = peers.map(peer =>
    [
      '[Peer]',
      `PublicKey = ${peer.publicKey}`,
      `Endpoint = ${peer.endpoint}`,
      `AllowedIPs = ${peer.allowedIps.join(', ')}`,
      'PersistentKeepalive = 2',
    ].join('\n'),
  );
  const head = [
    '[Interface]',
    `PrivateKey = ${own.privateKey}`,
    `Address = ${own.address}`,
    `ListenPort = ${wireguardPort}`,
  ].join('\n');
  return `${[head, ...sections].join('\n\n')}\n`;
}
