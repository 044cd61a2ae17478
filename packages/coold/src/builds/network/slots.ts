/** The slots of the network of builds: which build has which, and so which address. */
export class Slots {
  readonly #first: number;
  readonly #count: number;
  #last: number;
  readonly #taken = new Map<string, number>();

  /**
   * @param range the first and the last slot
   * @param last the slot before the first one that is reserved
   */
  constructor(range: { first: number; last: number }, last: number) {
    this.#first = range.first;
    this.#count = range.last - range.first + 1;
    this.#last = last;
  }

  /** How many builds have a slot. */
  get size(): number {
    return this.#taken.size;
  }

  /**
   * Reserves the next free slot, and not the lowest: packets to the last build with that address may still arrive.
   *
   * @param plugged slots whose cable is in the kernel, also of builds that this coold does not know
   * @returns undefined when all are taken
   */
  reserve(requestId: string, plugged: ReadonlySet<number>): number | undefined {
    const used = new Set([...plugged, ...this.#taken.values()]);
    for (let step = 1; step <= this.#count; step += 1) {
      const slot = this.#first + ((this.#last - this.#first + step) % this.#count);
      if (used.has(slot)) continue;
      this.#taken.set(requestId, slot);
      this.#last = slot;
      return slot;
    }
    return undefined;
  }

  release(requestId: string): void {
    this.#taken.delete(requestId);
  }
}
