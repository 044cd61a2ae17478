import Docker from 'dockerode';
import { type ListedContainer, readContainerList } from './answer.ts';
import { podmanFailure } from './failure.ts';

/** What coold asks of this host's Podman. Every call rejects with a VerbError. */
export interface Podman {
  /** Every container, running or not, with its networks: one request. */
  listContainers(signal: AbortSignal): Promise<ListedContainer[]>;
}

/** Less than the broker waits, so that a Podman that hangs is told apart from a host that does. */
const timeoutMs = 8000;

export function createPodman(socketPath: string): Podman {
  const docker = new Docker({ socketPath });
  async function ask<T>(signal: AbortSignal, request: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await request(AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
    } catch (error) {
      throw podmanFailure(error, socketPath);
    }
  }
  return {
    listContainers: signal =>
      ask(signal, async abortSignal =>
        readContainerList(await docker.listContainers({ all: true, abortSignal })),
      ),
  };
}
