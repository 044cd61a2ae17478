import { applyJoined } from './apply-joined.ts';
import type { Cidr } from './cidr.ts';
import { writeJoined } from './joined-file.ts';

/** The subnets that are part of the default deny beside the configured ones. */
export interface JoinedSubnets {
  /**
   * Makes exactly these the joined ones: on the disk first, so that a reboot at any moment denies them, then in the kernel.
   *
   * @throws Error when disk or packet filter fail
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
