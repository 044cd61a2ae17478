import { CorrosionError } from '@coold/corrosion';
import { VerbError } from '@coold/errors';

/** Translates Corrosion's failures for callers: 503 when it could not be asked, 502 when it answered with an error. */
export async function toldByCorrosion<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof CorrosionError)) throw error;
    const reason = error.fault === 'unreachable' ? 'corrosion_unavailable' : 'corrosion_failed';
    throw new VerbError(reason, error.message, { cause: error });
  }
}
