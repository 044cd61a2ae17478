import { readFlow } from './nft-flow.ts';
import type { ListedFlow } from './rule.ts';

/** A rule as `nft -a list` prints it. */
export interface ListedRule {
  handle: number;
  /** What it matches; undefined when it does more or else than an allow rule. */
  flow: ListedFlow | undefined;
  /** Its own words. */
  text: string;
}

/** What a table holds, or the chain of it that was asked for. */
export interface Listing {
  /** The rules of each chain, in its order. */
  chains: ReadonlyMap<string, readonly ListedRule[]>;
  /** The elements of each set, as nft prints them. */
  sets: ReadonlyMap<string, readonly string[]>;
}

/** Takes a listing line by line, so that thousands of rules are never there as one text. */
export interface ListingReader {
  take(line: string): void;
  /** Undefined: what was taken is no listing, or not all of one. */
  end(): Listing | undefined;
}

const blockPattern = /^\t(chain|set) (\S+) \{/;
const handlePattern = / # handle (\d{1,15})$/;
/** What nft prints of a chain before its rules. */
const headPattern = /^(?:type|policy|comment|flags|devices) /;

/**
 * Reads what `nft -a list table` or `nft -a list chain` prints. Its text and not its JSON, which is four times as long and has
 * nft itself take as much memory again.
 *
 * @param place family and table
 */
export function createListingReader(place: string): ListingReader {
  const chains = new Map<string, ListedRule[]>();
  const sets = new Map<string, string[]>();
  const begins = `table ${place} {`;
  let at: 'before' | 'table' | 'after' = 'before';
  let rules: ListedRule[] | undefined;
  let elements: string[] | undefined;
  /** A rule or a list of elements that goes on in the next line. */
  let begun = '';

  function takeRule(into: ListedRule[], line: string): void {
    if (begun === '' && headPattern.test(line)) return;
    const whole = begun === '' ? line : `${begun}\n${line}`;
    const ends = handlePattern.exec(whole);
    if (ends === null) {
      begun = whole;
      return;
    }
    begun = '';
    const text = whole.slice(0, ends.index);
    into.push({ handle: Number(ends[1]), flow: readFlow(text), text });
  }

  /** `elements = { a, b,` and so on, until a line ends with the brace. */
  function takeElements(into: string[], line: string): void {
    if (begun === '' && !line.startsWith('elements = {')) return;
    begun = 'elements';
    const isLast = line.endsWith('}');
    for (const part of line
      .replace(/^elements = \{/, '')
      .replace(/\}$/, '')
      .split(',')) {
      const element = part.trim();
      if (element !== '') into.push(element);
    }
    if (isLast) begun = '';
  }

  return {
    take(line) {
      if (at === 'before') {
        if (line.startsWith(begins)) at = 'table';
        return;
      }
      if (at === 'after') return;
      if (begun === '' && line === '}') at = 'after';
      else if (begun === '' && line === '\t}') [rules, elements] = [undefined, undefined];
      else if (rules !== undefined) takeRule(rules, line.trimStart());
      else if (elements !== undefined) takeElements(elements, line.trimStart());
      else {
        const [, kind, name = ''] = blockPattern.exec(line) ?? [];
        if (kind === 'chain') {
          rules = [];
          chains.set(name, rules);
        } else if (kind === 'set') {
          elements = [];
          sets.set(name, elements);
        }
      }
    },
    end: () => (at === 'after' ? { chains, sets } : undefined),
  };
}
