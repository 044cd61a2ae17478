import { readFile, statfs } from 'node:fs/promises';
import { ChildError, runChild } from '@coold/runtime';

// What the machine reports of itself, apart from Podman. Sizes are in bytes.

export interface Memory {
  total: bigint;
  available: bigint;
}

export interface Disk {
  total: bigint;
  free: bigint;
}

export interface WireguardPeer {
  publicKey: string;
  endpoint: string;
  allowedIps: string[];
  /** Seconds since the last handshake; undefined when there was none. */
  lastHandshakeS: bigint | undefined;
  /** The persistent keepalive in seconds; absent when it is off. */
  keepaliveS?: number | undefined;
  rx: bigint;
  tx: bigint;
}

export async function readMemory(): Promise<Memory> {
  return parseMeminfo(await readFile('/proc/meminfo', 'utf8'));
}

/** @throws Error when a line is missing: every kernel since 3.14 has both */
export function parseMeminfo(text: string): Memory {
  const bytes = (name: string) => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    if (found === undefined) throw new Error(`/proc/meminfo has no ${name}`);
    return BigInt(found) * 1024n;
  };
  return { total: bytes('MemTotal'), available: bytes('MemAvailable') };
}

/**
 * Returns the file system of Podman's storage, or that of the root where coold cannot see it. `free` is what is
 * available for use.
 */
export async function readDisk(graphRoot: string): Promise<Disk> {
  const { bsize, blocks, bavail } = await statfs(graphRoot).catch(() => statfs('/'));
  return { total: BigInt(bsize) * BigInt(blocks), free: BigInt(bsize) * BigInt(bavail) };
}

/** The interface of the mesh (docs/contract.md §4). */
export const wireguardInterface = 'wg0';

const wgTimeoutMs = 3000;

/** Returns the peers of an interface; undefined when the interface or WireGuard's tool does not exist. */
export async function readPeers(name: string, signal: AbortSignal): Promise<WireguardPeer[] | undefined> {
  try {
    const args = ['show', name, 'dump'];
    const { code, stdout } = await runChild('wg', args, { timeoutMs: wgTimeoutMs, signal });
    return code === 0 ? parsePeers(stdout, Date.now()) : undefined;
  } catch (error) {
    if (error instanceof ChildError && error.reason === 'spawn') return undefined;
    throw error;
  }
}

/**
 * Parses `wg show <interface> dump`. The first line, with the private key, is dropped unread, and so is each peer's
 * preshared key.
 *
 * @param nowMs the current time, for the age of handshakes
 */
export function parsePeers(dump: string, nowMs: number): WireguardPeer[] {
  return dump
    .split('\n')
    .slice(1)
    .filter(line => line !== '')
    .map(line => {
      const [
        publicKey = '',
        ,
        endpoint = '',
        allowedIps = '',
        handshake = '0',
        rx = '0',
        tx = '0',
        keepalive = 'off',
      ] = line.split('\t');
      const at = Number(handshake);
      return {
        publicKey,
        endpoint: endpoint === '(none)' ? '' : endpoint,
        allowedIps: allowedIps === '(none)' ? [] : allowedIps.split(','),
        lastHandshakeS: at === 0 ? undefined : BigInt(Math.max(0, Math.floor(nowMs / 1000) - at)),
        keepaliveS: keepalive === 'off' ? undefined : Number(keepalive),
        rx: BigInt(rx),
        tx: BigInt(tx),
      };
    });
}
