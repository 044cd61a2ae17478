import { generateKeyPairSync } from 'node:crypto';

/** A WireGuard key pair, in the base64 that wg(8) reads. */
export interface KeyPair {
  privateKey: string;
  publicKey: string;
}

/** A member of the mesh as its peers configure it. */
export interface Peer {
  publicKey: string;
  /** `address:port` on the underlay. */
  endpoint: string;
  allowedIps: string[];
}

export const wireguardPort = 51_820;

/** Generates a Curve25519 pair, which is what WireGuard uses. */
export function generateKeys(): KeyPair {
  const { x = '', d = '' } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const base64 = (base64url: string) => Buffer.from(base64url, 'base64url').toString('base64');
  return { privateKey: base64(d), publicKey: base64(x) };
}

/**
 * Returns the wg-quick(8) configuration of one host; its routes are its peers' AllowedIPs. Pure. The keepalive is
 * short, so that a returning host calls its peers by itself and is found within seconds: to them the old session looks
 * alive for up to three minutes.
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
