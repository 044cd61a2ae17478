import { Agent, request } from 'undici';
import { type ListedContainer, readContainerList } from './answer.ts';
import { PodmanStatusError, podmanFailure } from './failure.ts';

/** What coold asks of this host's Podman. Every call rejects with a VerbError. */
export interface Podman {
  /** Every container, running or not, with its networks: one request. */
  listContainers(signal: AbortSignal): Promise<ListedContainer[]>;
}

/** Less than the broker waits, so that a Podman that hangs is told apart from a host that does. */
const defaultTimeoutMs = 8000;
const connectTimeoutMs = 2000;
/** Podman's compatible API of this version and libpod's own, since 4.0. */
const compatible = '/v1.41';

export function createPodman(socketPath: string, { timeoutMs = defaultTimeoutMs } = {}): Podman {
  const dispatcher = new Agent({ connect: { socketPath, timeout: connectTimeoutMs } });

  /** One GET to its JSON. The whole of it, body included, ends with the signal or the timeout. */
  async function get(path: string, signal: AbortSignal): Promise<unknown> {
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const { statusCode, body } = await request(`http://podman${path}`, { dispatcher, signal: within });
      const text = await body.text();
      if (statusCode !== 200) throw new PodmanStatusError(statusCode, text);
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw podmanFailure(error, socketPath);
    }
  }

  return {
    // The compatible list has what libpod's lacks here: it names the networks of a container whatever its state.
    listContainers: async signal =>
      readContainerList(await get(`${compatible}/containers/json?all=true`, signal)),
  };
}
