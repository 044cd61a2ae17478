/** Something that knows rules by their ids. */
export interface Known {
  has(id: string): boolean;
  keys(): Iterable<string>;
}

/** Ids of rules on which the kernel, coold's model and the files disagree. */
export interface Drift {
  /** In a plane, but never requested of this coold. */
  kernelOnly: string[];
  /** Acknowledged, but missing from a plane. */
  modelOnly: string[];
  /** In one plane and not in the other. */
  planesDiffer: string[];
  /** In the snapshots and not acknowledged, or the reverse. */
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
  snapshots: Known,
  guard?: Known,
): Drift {
  const planes = [iptables, nft, guard].filter(plane => plane !== undefined);
  const standing = new Set(planes.flatMap(plane => [...plane.keys()]));
  const ids = [...model.keys()];
  return {
    kernelOnly: [...standing].filter(id => !model.has(id)),
    modelOnly: ids.filter(id => !planes.every(plane => plane.has(id))),
    planesDiffer: [...standing].filter(id => !planes.every(plane => plane.has(id))),
    snapshotDiffers: [
      ...ids.filter(id => !snapshots.has(id)),
      ...[...snapshots.keys()].filter(id => !model.has(id)),
    ],
  };
}
