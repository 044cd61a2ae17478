import { readFlow } from '../rule/nft-flow.ts';
import type { ListedFlow } from '../rule/rule.ts';

/** A rule as `nft -a list` prints it. */
export interface ListedRule {
  handle: number;
  /** What the rule matches; undefined when it differs from allow rules. */
  flow: ListedFlow | undefined;
  /** The rule's text. */
  text: string;
}

/** The content of a table, or of one chain of it. */
export interface Listing {
  /** The rules of each chain, in order. */
  chains: ReadonlyMap<string, readonly ListedRule[]>;
  /** The elements of each set, as nft prints them. */
  sets: ReadonlyMap<string, readonly string[]>;
}

/** Takes a listing line by line, so that thousands of rules are never in memory as one text. */
export interface ListingReader {
  take(line: string): void;
  /** Returns undefined when the input was not a complete listing. */
  end(): Listing | undefined;
}

const blockPattern = /^\t(chain|set) (\S+) \{/;
const handlePattern = / # handle (\d{1,15})$/;
/** Matches up to the next comma. An element's comment may contain commas. */
const elementPattern = /(?:"[^"]*"|[^",])+/g;
/** Lines that nft prints of a chain before its rules. */
const headPattern = /^(?:type|policy|comment|flags|devices) /;

/**
 * Parses the output of `nft -a list table` or `nft -a list chain`. The text format is parsed because JSON is four times
 * as long and makes nft itself use as much memory again.
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
  /** The beginning of a rule or a list of elements that continues on the next line. */
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

  /** Parses `elements = { a, b,` and the following lines up to the closing brace. */
  function takeElements(into: string[], line: string): void {
    if (begun === '' && !line.startsWith('elements = {')) return;
    begun = 'elements';
    const isLast = line.endsWith('}');
    const list = line.replace(/^elements = \{/, '').replace(/\}$/, '');
    for (const [part] of list.matchAll(elementPattern)) {
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
