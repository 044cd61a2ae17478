const tries = 3;

/**
 * Runs a change that is computed from a listing of the chains, up to three times, because another program may change
 * the chains in between.
 *
 * @throws the error of the last attempt
 */
export async function retryChange<T>(work: () => Promise<T>): Promise<T> {
  for (let left = tries; ; left -= 1)
    try {
      return await work();
    } catch (error) {
      if (left <= 1) throw error;
    }
}
