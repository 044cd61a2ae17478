import type { AnswerableZone, Known } from './answer.ts';
import { isInZone } from './names.ts';
import { createRelativeNames } from './relative-names.ts';
import { readReverseName } from './reverse-names.ts';

/** The zone as a thread without the directory knows it: the names that it asked for. */
export interface ZoneCache extends AnswerableZone {
  /** Records names and their content, including answers to what was asked. */
  told(names: Iterable<readonly [name: string, known: Known]>): void;
  /** Forgets all names: changes of them are no longer reported. */
  forget(): void;
  /** Whether answers to asked names are still missing. */
  isWaiting(): boolean;
}

/** The most names that are waited for. Queries for further names get no answer, and their clients ask again. */
const maxAsked = 1000;
/** How long a question waits, in ms. The client asks again after that. */
const waitMs = 2000;

const outside: Known = { kind: 'outside' };
const apex: Known = { kind: 'apex' };
const silence: Known = { kind: 'later', known: Promise.resolve(false) };

/**
 * @param wire the zone's name on the wire
 *
 * @param namespaces the configured ones
 * @param ask is called for an unknown name
 */
export function createZoneCache(
  wire: string,
  namespaces: readonly string[],
  ask: (name: string) => void,
): ZoneCache {
  const isRelative = createRelativeNames(namespaces);
  const known = new Map<string, Known>();
  const asked = new Map<string, { waiting: Known; resolve(isKnown: boolean): void }>();

  const learn = (name: string): Known => {
    const before = asked.get(name);
    if (before !== undefined) return before.waiting;
    if (asked.size >= maxAsked) return silence;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiting: Known = { kind: 'later', known: promise };
    const giveUp = setTimeout(() => {
      asked.delete(name);
      resolve(false);
    }, waitMs);
    asked.set(name, {
      waiting,
      resolve(isKnown) {
        clearTimeout(giveUp);
        resolve(isKnown);
      },
    });
    ask(name);
    return waiting;
  };

  return {
    wire,
    find(name) {
      const told = known.get(name);
      if (told !== undefined) return told;
      if (isInZone(name, wire)) return name === wire ? apex : learn(name);
      return isRelative(name) || readReverseName(name) !== undefined ? learn(name) : outside;
    },
    told(names) {
      for (const [name, holding] of names) {
        known.set(name, holding);
        asked.get(name)?.resolve(true);
        asked.delete(name);
      }
    },
    forget: () => known.clear(),
    isWaiting: () => asked.size > 0,
  };
}
