import { Agent, request } from 'undici';
import { VerbError } from '../api/verb-error.ts';
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
/** More than any host's containers take; what is longer is not read on. */
const maxAnswerBytes = 32 * 1024 * 1024;
/** Podman's Docker-compatible API. */
const compatible = '/v1.41';

export function createPodman(socketPath: string, { timeoutMs = defaultTimeoutMs } = {}): Podman {
  const dispatcher = new Agent({ connect: { socketPath, timeout: connectTimeoutMs } });

  /** One GET to its JSON. The whole of it, body included, ends with the signal or the timeout. */
  async function get(path: string, signal: AbortSignal): Promise<unknown> {
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const { statusCode, body } = await request(`http://podman${path}`, { dispatcher, signal: within });
      const text = await readText(body, maxAnswerBytes);
      if (statusCode !== 200) throw new PodmanStatusError(statusCode, text);
      return parseJson(text);
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

/** @throws VerbError 502 when there is more than `maxBytes` */
async function readText(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) throw new VerbError(502, `podman's answer is over the limit of ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new VerbError(502, "podman's answer is not JSON", { cause: error });
  }
}
