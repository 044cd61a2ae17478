import type { AnswerableZone, Known } from './answer.ts';
import { createRelativeNames } from './relative-names.ts';
import { isInZone } from './zone.ts';

/** What a thread without the directory knows of the zone: what it was told of the names that it was asked for. */
export interface LearnedZone extends AnswerableZone {
  /** News of names; of one that was asked for, the answer. */
  told(names: Iterable<readonly [name: string, known: Known]>): void;
  /** From now on changes are told of no name but those that are told again. */
  forget(): void;
  /** Whether there are names that it has asked for and not been told yet. */
  isWaiting(): boolean;
}

/** Names that are waited for at once; queries for others get no answer, and their clients ask again. */
const maxAsked = 1000;
/** As a resolver would wait for an upstream: then whoever asked has asked again, ms. */
const waitMs = 2000;

const outside: Known = { kind: 'outside' };
const relative: Known = { kind: 'relative' };
const empty: Known = { kind: 'empty' };
const silence: Known = { kind: 'later', known: Promise.resolve(false) };

/**
 * @param wire the zone's name on the wire
 * @param namespaces those that are configured
 * @param ask is called for a name that is not known
 */
export function createLearnedZone(
  wire: string,
  namespaces: readonly string[],
  ask: (name: string) => void,
): LearnedZone {
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
      if (!isInZone(name, wire)) return isRelative(name) ? relative : outside;
      return name === wire ? empty : learn(name);
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
