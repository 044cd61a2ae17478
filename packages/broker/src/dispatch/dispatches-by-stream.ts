import type { HostStream } from '../hosts/hosts.ts';

/** Where answers arrive: a host's stream, or an object that stands for it when another broker has the stream. */
export type Carrier = Pick<HostStream, 'hostId'>;

/**
 * A dispatch as a link in the list of its stream. The dispatches themselves form the list, because a set per stream
 * would double the memory of a dispatch.
 */
export interface Attached {
  readonly stream: Carrier;
  earlier: this | undefined;
  later: this | undefined;
}

/** The dispatches of each stream, so that a lost stream ends all of its own at once. */
export class DispatchesByStream<D extends Attached> {
  /** The latest dispatch of each stream that has any. */
  readonly #latest = new Map<Carrier, D>();

  /** Attaches a dispatch that is attached to no stream yet. */
  attach(dispatch: D): void {
    const earlier = this.#latest.get(dispatch.stream);
    this.#latest.set(dispatch.stream, dispatch);
    dispatch.earlier = earlier;
    if (earlier !== undefined) earlier.later = dispatch;
  }

  /** Detaches a dispatch. Does nothing for one that is not attached. */
  detach(dispatch: D): void {
    const { earlier, later, stream } = dispatch;
    if (earlier !== undefined) earlier.later = later;
    if (later !== undefined) later.earlier = earlier;
    else if (this.#latest.get(stream) === dispatch) {
      if (earlier === undefined) this.#latest.delete(stream);
      else this.#latest.set(stream, earlier);
    }
    dispatch.earlier = undefined;
    dispatch.later = undefined;
  }

  /** Returns the dispatches of a stream, in the order in which they were attached. */
  of(stream: Carrier): D[] {
    const found: D[] = [];
    for (let dispatch = this.#latest.get(stream); dispatch !== undefined; dispatch = dispatch.earlier)
      found.push(dispatch);
    return found.reverse();
  }
}
