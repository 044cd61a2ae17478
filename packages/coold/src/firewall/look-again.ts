const tries = 3;

/**
 * Runs what lists chains and changes them by that; again when it fails, since somebody else may have changed them in
 * between. @throws what the last try threw
 */
export async function lookAgain<T>(work: () => Promise<T>): Promise<T> {
  for (let left = tries; ; left -= 1)
    try {
      return await work();
    } catch (error) {
      if (left <= 1) throw error;
    }
}
