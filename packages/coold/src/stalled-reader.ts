import { VerbError } from '@coold/errors';
import { orAborted } from '@coold/runtime';

/** How long output may wait before the container's state is checked, and between checks, in ms. */
const lookInMs = 2000;

export interface StalledReader extends Disposable {
  /** Resolves when the write was taken. @throws VerbError 409 when the container is being stopped meanwhile */
  taking(write: Promise<void>): Promise<void>;
}

/**
 * A program whose output is not read does not end, not even by SIGKILL, until its monitor has got rid of the output,
 * and its container's first process ends after it. So while a write waits, the container's state is checked, to keep a
 * slow reader from delaying its stop.
 *
 * @param inspect returns Podman's description of the container, within a time limit
 */
export function letGoWhenStopped(inspect: () => Promise<Record<string, unknown>>): StalledReader {
  const stopping = new AbortController();
  let since: number | undefined;
  let isLooking = false;
  const look = async () => {
    if (isLooking || since === undefined || performance.now() - since < lookInMs) return;
    isLooking = true;
    try {
      const { State } = await inspect();
      const status = (State as { Status?: unknown } | undefined)?.Status;
      if (since !== undefined && (status === 'stopping' || status === 'removing'))
        stopping.abort(
          new VerbError(
            'container_state',
            'the container was stopped while the output of its program was not read',
          ),
        );
    } finally {
      isLooking = false;
    }
  };
  const timer = setInterval(() => {
    look().catch(() => {}); // its pipe says it when Podman or the container is gone
  }, lookInMs);
  return {
    async taking(write) {
      since = performance.now();
      await orAborted(write, stopping.signal);
      since = undefined;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
