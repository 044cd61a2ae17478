import { networkInterfaces } from 'node:os';
import type { Registry } from 'prom-client';
import { scrapedMetrics } from '../scraped-metrics.ts';

/** The address by which other hosts know this one. */
export interface MeshAddress {
  address: string;
  /** Whether an interface that is up has it. */
  isUp(): boolean;
}

/** Addresses by interface name. */
type Interfaces = NodeJS.Dict<readonly { address: string }[]>;

/** @param read returns the interfaces of this host */
export function createMeshAddress(address: string, read: () => Interfaces = networkInterfaces): MeshAddress {
  return {
    address,
    isUp: () => Object.values(read()).some(list => list?.some(each => each.address === address)),
  };
}

/** Registers the metric of the mesh address. */
export function watchMeshAddress(registry: Registry, mesh: Pick<MeshAddress, 'isUp'>): void {
  scrapedMetrics(registry).gauge(
    'coold_mesh_address_up',
    '1: an interface of this host has COOLD_HOST_MGMT_IP; 0: none has it, as while wg0 is down',
    () => (mesh.isUp() ? 1 : 0),
  );
}
