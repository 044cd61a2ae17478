import { readdir, readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { type Cidr, covers } from './cidr.ts';
import { interfaceName } from './kernel-name.ts';
import { isObject } from './nft-rule.ts';
import type { HostAddress } from './scaffold-differences.ts';

/** Where Podman keeps its networks, one file each. */
export const podmanNetworks = '/etc/containers/networks';
/** The bridge of Podman's default network, which has no file. */
const defaultBridge = 'podman0';

/**
 * The bridges that containers send by: those of Podman's networks, which are known before they are up, and whatever has an
 * address of these subnets. What cannot be read is left out.
 */
export async function readMeshLinks(subnets: readonly Cidr[], folder = podmanNetworks): Promise<string[]> {
  const files = await readdir(folder).catch(() => []);
  const configured = await Promise.all(
    files.filter(name => name.endsWith('.json')).map(name => bridgeIn(join(folder, name))),
  );
  const up = hostAddresses().flatMap(({ interface: name, address }) =>
    isIn(subnets, address) ? [name] : [],
  );
  const names = [defaultBridge, ...configured.flat(), ...up];
  return [...new Set(names.flatMap(name => interfaceName.parse(name) ?? []))].sort();
}

/** The IPv4 addresses of interfaces that are up. */
export function hostAddresses(): HostAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.flatMap(({ family, address }) => (family === 'IPv4' ? [{ interface: name, address }] : [])),
  );
}

async function bridgeIn(path: string): Promise<string[]> {
  try {
    const network: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (!isObject(network) || network['driver'] !== 'bridge') return [];
    const name = network['network_interface'];
    return typeof name === 'string' ? [name] : [];
  } catch {
    return []; // it was removed meanwhile, or is being written
  }
}

const isIn = (subnets: readonly Cidr[], address: string) =>
  subnets.some(subnet => covers(subnet, `${address}/32`));
