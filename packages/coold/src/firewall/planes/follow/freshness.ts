/**
 * Whether what is known of the planes matches the kernel: they were listed, and every change since was announced and
 * understood.
 */
export class Freshness {
  /** The last listing succeeded, and nothing was done since whose result only a listing tells. */
  isLooked = false;
  /** Changes are being announced. */
  isWatched = false;
  /** An announcement could not be understood. */
  isUnclear = false;
  /** Another program may have changed something between the listing and the first announcement. */
  hasGap = false;
  /** A large change is still being announced. The removal of its proof marks the end. */
  isBehind = false;
  #onAnnounced = () => {};

  get isFresh(): boolean {
    return this.isLooked && !this.isUnclear && !this.hasGap && this.isWatched;
  }

  /** Called after each announcement, and whenever announcements start or stop. */
  announce(): void {
    this.#onAnnounced();
  }

  /**
   * Waits for a condition that announcements bring about. Stops waiting at an announcement that could not be
   * understood. While others are announced, the awaited one may still be on its way: after thousands of rules that
   * takes less time than a listing. One wait at a time.
   *
   * @param waitMs how long announcements may pause; five times this in total, and longer while a large change is being
   * announced
   */
  announced(isSo: () => boolean, waitMs: number): Promise<boolean> {
    if (isSo()) return Promise.resolve(true);
    if (!this.isWatched || this.isUnclear || this.hasGap) return Promise.resolve(false);
    return new Promise(resolve => {
      const end = (result: boolean) => {
        clearTimeout(timer);
        this.#onAnnounced = () => {};
        resolve(result);
      };
      const timer = setTimeout(() => end(false), waitMs);
      const latest = performance.now() + 4 * waitMs;
      this.#onAnnounced = () => {
        if (isSo()) end(true);
        else if (this.isUnclear) end(false);
        else if (this.isBehind || performance.now() < latest) timer.refresh();
      };
    });
  }
}
