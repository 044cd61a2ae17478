import type { Cidr } from '../rule/cidr.ts';
import { applyJoined } from './apply-joined.ts';
import { writeJoined } from './joined-file.ts';

/** The subnets of the default deny in addition to the configured ones. */
export interface JoinedSubnets {
  /**
   * Makes exactly these subnets the joined ones: first on the disk, so that a reboot at any moment denies them, then in
   * the kernel.
   *
   * @throws Error when the disk or the packet filter fails
   */
  keep(subnets: readonly Cidr[]): Promise<void>;
}

/** @param path `joined.subnets`, which `coold scaffold` reads */
export function createJoinedSubnets(path: string): JoinedSubnets {
  return {
    async keep(subnets) {
      await writeJoined(path, subnets);
      await applyJoined(subnets);
    },
  };
}
