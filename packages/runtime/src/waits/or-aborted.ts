/**
 * Returns the result of `work`, or rejects as soon as the signal aborts. Use it for short work and a signal that lives long: the
 * listener is removed when the work settles. `Promise.race` would leave a reaction on a long-lived promise each time.
 *
 * @param why returns the error when the signal aborts. Default: the signal's reason
 */
export function orAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  why: () => unknown = () => signal.reason,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = () => reject(why());
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  return promise;
}
