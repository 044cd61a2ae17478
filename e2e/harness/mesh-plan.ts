import { HarnessError } from './provider.ts';

/** The addresses and networks of a mesh, as plain data. */
export interface MeshPlan {
  hosts: PlannedHost[];
}

export interface PlannedHost {
  name: string;
  /** Address on wg0; only the mesh reaches it. */
  mgmtIp: string;
  /** Networks by namespace. */
  namespaces: Record<string, NamespaceNetwork>;
}

/** A namespace's network on one host. */
export interface NamespaceNetwork {
  /** Name of the Podman network. */
  network: string;
  subnet: string;
  gateway: string;
}

/** One address per host. */
export const mgmtPool = '100.64.0.0/16';
/** A /24 per namespace and host. */
export const containerPool = '10.210.0.0/16';

const hostsPerNamespace = 16;

/**
 * Plans a mesh: the nth host of the mth namespace always gets the same subnet, independent of the others. Pure.
 *
 * @throws HarnessError for more than 16 hosts or 16 namespaces
 */
export function planMesh(hosts: readonly string[], namespaces: readonly string[]): MeshPlan {
  if (hosts.length > hostsPerNamespace)
    throw new HarnessError(`a mesh of more than ${hostsPerNamespace} hosts`);
  if (namespaces.length > 256 / hostsPerNamespace)
    throw new HarnessError(`a mesh of more than ${256 / hostsPerNamespace} namespaces`);
  for (const namespace of namespaces) {
    if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(namespace))
      throw new HarnessError(`namespace "${namespace}": expected a DNS label`);
  }
  return {
    hosts: hosts.map((name, hostNumber) => ({
      name,
      mgmtIp: `100.64.0.${hostNumber + 1}`,
      namespaces: Object.fromEntries(
        namespaces.map((namespace, number) => {
          const prefix = `10.210.${number * hostsPerNamespace + hostNumber}`;
          return [
            namespace,
            { network: `coolify-${namespace}-mesh`, subnet: `${prefix}.0/24`, gateway: `${prefix}.1` },
          ];
        }),
      ),
    })),
  };
}
