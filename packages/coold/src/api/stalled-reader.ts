import { VerbError } from './verb-error.ts';

/** How long output waits before the container is looked at, and again, in ms. */
const lookInMs = 2000;

export interface StalledReader extends Disposable {
  /** Resolves when it was taken. @throws VerbError 409 when the container is being stopped meanwhile */
  taking(write: Promise<void>): Promise<void>;
}

/**
 * A program whose output nobody takes does not end, not by SIGKILL either, before its monitor has got rid of it; and its
 * container's first process ends after it. So while a write waits, the container is looked at: its stop does not wait for a
 * slow reader.
 *
 * @param inspect what Podman says of the container; bounded in time
 */
export function letGoWhenStopped(inspect: () => Promise<Record<string, unknown>>): StalledReader {
  const stopping = Promise.withResolvers<never>();
  stopping.promise.catch(() => {}); // it may come when nothing is written
  let since: number | undefined;
  let isLooking = false;
  const look = async () => {
    if (isLooking || since === undefined || performance.now() - since < lookInMs) return;
    isLooking = true;
    try {
      const { State } = await inspect();
      const status = (State as { Status?: unknown } | undefined)?.Status;
      if (since !== undefined && (status === 'stopping' || status === 'removing'))
        stopping.reject(
          new VerbError(409, 'the container was stopped while nobody took what its program wrote'),
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
      await Promise.race([write, stopping.promise]);
      since = undefined;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
