import { readdir, readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { isObject } from '@coold/runtime/unknown-values';
import { type Cidr, cidr, covers } from '../rule/cidr.ts';
import { interfaceName } from '../rule/kernel-name.ts';
import type { HostAddress } from './scaffold-differences.ts';

/** Podman's folder of networks, one file each. */
const podmanNetworks = '/etc/containers/networks';
/** The bridge of Podman's default network, which has no file. */
const defaultBridge = 'podman0';

/**
 * Returns the bridges that containers send through: those of Podman's networks, also before they are up, and every
 * interface with an address of these subnets. What cannot be read is left out.
 */
export async function readMeshLinks(subnets: readonly Cidr[], folder = podmanNetworks): Promise<string[]> {
  const configured = await readBridges(folder);
  return distinct([defaultBridge, ...configured.map(({ name }) => name), ...upIn(subnets)]);
}

/** Returns the bridges that mesh containers send through: those of networks that lie in these subnets. */
export async function readMeshBridges(subnets: readonly Cidr[], folder = podmanNetworks): Promise<string[]> {
  const configured = await readBridges(folder);
  const ofMesh = configured.filter(bridge =>
    bridge.subnets.some(subnet => subnets.some(network => covers(network, subnet))),
  );
  return distinct([...ofMesh.map(({ name }) => name), ...upIn(subnets)]);
}

const upIn = (subnets: readonly Cidr[]) =>
  hostAddresses().flatMap(({ interface: name, address }) => (isIn(subnets, address) ? [name] : []));

const distinct = (names: readonly string[]) =>
  [...new Set(names.flatMap(name => interfaceName.parse(name) ?? []))].sort();

async function readBridges(folder: string): Promise<Bridge[]> {
  const files = await readdir(folder).catch(() => []);
  const configured = await Promise.all(
    files.filter(name => name.endsWith('.json')).map(name => bridgeIn(join(folder, name))),
  );
  return configured.flat();
}

/** The bridge of a Podman network. */
interface Bridge {
  name: string;
  subnets: Cidr[];
}

/** Returns the IPv4 addresses of interfaces that are up. */
export function hostAddresses(): HostAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.flatMap(({ family, address }) => (family === 'IPv4' ? [{ interface: name, address }] : [])),
  );
}

async function bridgeIn(path: string): Promise<Bridge[]> {
  try {
    const network: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (!isObject(network) || network['driver'] !== 'bridge') return [];
    const name = network['network_interface'];
    const listed: unknown[] = Array.isArray(network['subnets']) ? network['subnets'] : [];
    const subnets = listed.flatMap(entry =>
      isObject(entry) && typeof entry['subnet'] === 'string' ? (cidr.parse(entry['subnet']) ?? []) : [],
    );
    return typeof name === 'string' ? [{ name, subnets }] : [];
  } catch {
    return []; // it was removed meanwhile, or is being written
  }
}

const isIn = (subnets: readonly Cidr[], address: string) =>
  subnets.some(subnet => covers(subnet, `${address}/32`));
