import { type Task, untilAborted } from '@coold/runtime';
import type { KeptListener, ListenerState } from './keep-listener.ts';

/** Where DNS is answered. */
export interface ListenerPlace {
  namespace: string;
  gateway: string;
}

/** Listeners that come and go while DNS runs, one per gateway. */
export interface ListenerGroup {
  /** Replaces the places. A gateway that appears twice is served for the first entry. */
  keep(places: readonly ListenerPlace[]): void;
  states(): readonly Readonly<ListenerState>[];
  /** Runs every listener. Ends once all have ended after its signal; rejects when one of them breaks. */
  run: Task;
}

interface Member {
  place: ListenerPlace;
  listener: KeptListener;
  stop: AbortController;
  /** Settles when it no longer serves; undefined when it was not started yet. */
  ended: Promise<void> | undefined;
}

/** @param listen undefined when nothing is to be answered */
export function createListenerGroup(
  listen: (place: ListenerPlace) => KeptListener | undefined,
): ListenerGroup {
  const members = new Map<string, Member>();
  const leaving = new Set<Promise<void>>();
  let running: { signal: AbortSignal; fail(error: unknown): void } | undefined;

  const start = (member: Member, after: Promise<unknown> = Promise.resolve()) => {
    if (running === undefined) return;
    const { signal, fail } = running;
    const own = AbortSignal.any([signal, member.stop.signal]);
    member.ended = after.then(() => member.listener.run(own)).catch(fail);
  };
  /** @returns once its address is free */
  const leave = (gateway: string, member: Member): Promise<void> => {
    members.delete(gateway);
    member.stop.abort();
    const ended = member.ended ?? Promise.resolve();
    leaving.add(ended);
    void ended.finally(() => leaving.delete(ended));
    return ended;
  };

  return {
    keep(places) {
      const wanted = new Map<string, ListenerPlace>();
      for (const place of places) if (!wanted.has(place.gateway)) wanted.set(place.gateway, place);
      const left = new Map<string, Promise<void>>();
      for (const [gateway, member] of members)
        if (wanted.get(gateway)?.namespace !== member.place.namespace)
          left.set(gateway, leave(gateway, member));
      for (const [gateway, place] of wanted) {
        if (members.has(gateway)) continue;
        const listener = listen(place);
        if (listener === undefined) continue;
        const member: Member = { place, listener, stop: new AbortController(), ended: undefined };
        members.set(gateway, member);
        start(member, left.get(gateway));
      }
    },
    states: () => [...members.values()].map(({ listener }) => listener.state),
    async run(signal) {
      const broken = Promise.withResolvers<never>();
      broken.promise.catch(() => {});
      running = { signal, fail: broken.reject };
      for (const member of members.values()) start(member);
      try {
        await Promise.race([untilAborted(signal), broken.promise]);
        await Promise.all([...[...members.values()].map(({ ended }) => ended), ...leaving]);
      } finally {
        running = undefined;
      }
    },
  };
}
