/** Something that knows rules by their ids. */
export interface Known {
  has(id: string): boolean;
  keys(): Iterable<string>;
}

/** Where what stands, what coold acknowledged and what is on the disk part ways; ids. */
export interface Drift {
  /** In a plane, but never asked of this coold. */
  kernelOnly: string[];
  /** Acknowledged, but missing from a plane. */
  modelOnly: string[];
  /** In one plane and not in the other. */
  planesDiffer: string[];
  /** In the snapshots and not acknowledged, or the other way round. */
  snapshotDiffers: string[];
}

/**
 * @param nft undefined on a permissive host, which has one plane (docs/contract.md §4)
 * @param guard undefined on a host without the guard's sets
 */
export function findDrift(
  model: Known,
  iptables: Known,
  nft: Known | undefined,
  filed: Known,
  guard?: Known,
): Drift {
  const planes = [iptables, nft, guard].filter(plane => plane !== undefined);
  const standing = new Set(planes.flatMap(plane => [...plane.keys()]));
  const ids = [...model.keys()];
  return {
    kernelOnly: [...standing].filter(id => !model.has(id)),
    modelOnly: ids.filter(id => !planes.every(plane => plane.has(id))),
    planesDiffer: [...standing].filter(id => !planes.every(plane => plane.has(id))),
    snapshotDiffers: [...ids.filter(id => !filed.has(id)), ...[...filed.keys()].filter(id => !model.has(id))],
  };
}
