import { isSameMoment, type KernelView, type Moment } from '../netlink/kernel-view.ts';

/** A result is read again after this long in any case, in ms. */
export const longestMs = 60_000;

/** Caches what programs reported of the packet filter. They run again once it may have changed. */
export class Remembered<T> {
  readonly #view: Pick<KernelView, 'moment'>;
  #known: { about: string; moment: Moment; at: number; value: T } | undefined;

  constructor(view: Pick<KernelView, 'moment'>) {
    this.#view = view;
  }

  /**
   * Returns the result of `read`, or the cached one when nothing has changed since that read began. A read during which
   * something changed is not cached, even if it changed things itself. The tables of iptables-legacy have no
   * generation: they can return to their former state, and the result would belong to another moment.
   *
   * @param about identifies what is read; a result for something else is not reused
   * @throws what `read` throws
   */
  async get(about: string, read: () => Promise<T>): Promise<T> {
    const moment = await this.#view.moment();
    const known = this.#known;
    if (
      known !== undefined &&
      known.about === about &&
      isSameMoment(known.moment, moment) &&
      performance.now() - known.at < longestMs
    )
      return known.value;
    this.#known = undefined;
    const at = performance.now();
    const value = await read();
    if (moment !== undefined && isSameMoment(moment, await this.#view.moment()))
      this.#known = { about, moment, at, value };
    return value;
  }
}
