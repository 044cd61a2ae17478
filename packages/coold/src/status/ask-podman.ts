import { errorMessage } from '@coold/runtime';

/** The facts by which Podman's health is judged. */
export interface AskedPodman {
  version(signal: AbortSignal): Promise<string>;
  list(signal: AbortSignal): Promise<readonly unknown[]>;
}

export type PodmanHealth =
  | { version: string }
  | {
      problem: string;
      /**
       * True when it has not failed but not answered in time either. A coold not yet restarted after an update does not
       * set it.
       */
      late?: boolean;
    };

/** Longer than a healthy Podman takes, even on a busy host, in ms. */
const podmanMs = 3000;

/**
 * Asks Podman for its version and its containers: where one container is broken, Podman still reports its version but
 * fails to list, and nothing works. Never rejects.
 *
 * @param timeoutMs the time after which it is late
 */
export async function askPodman(podman: AskedPodman, timeoutMs = podmanMs): Promise<PodmanHealth> {
  const within = AbortSignal.timeout(timeoutMs);
  try {
    const [version] = await Promise.all([podman.version(within), podman.list(within)]);
    return { version };
  } catch (error) {
    return { problem: errorMessage(error), late: within.aborted };
  }
}
