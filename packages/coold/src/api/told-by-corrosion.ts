import { CorrosionError } from '@coold/corrosion';
import { VerbError } from './verb-error.ts';

/** Corrosion's failures as callers see them: 503 when it could not be asked, 502 when it answered with no success. */
export async function toldByCorrosion<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof CorrosionError)) throw error;
    throw new VerbError(error.fault === 'unreachable' ? 503 : 502, error.message, { cause: error });
  }
}
