import { isGoSpace } from './go-space.ts';
import type { Escape } from './instruction.ts';

/**
 * Splits the text of ENV, LABEL or ARG into words at spaces and tabs. The words keep their quotes.
 *
 * @throws Error saying what is wrong: a quote that does not close, or another kind of space outside quotes
 */
export function splitQuoted(text: string, escapeCharacter: Escape): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  const characters = [...text];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? '';
    if (quote === '' && (character === ' ' || character === '\t')) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    if (quote === '' && isGoSpace(character)) throw new Error('has a space outside quotes that is not ASCII');
    word += character;
    if (character === escapeCharacter && quote !== "'") {
      const escaped = characters[at + 1];
      if (escaped === undefined) throw new Error(`ends in ${escapeCharacter}`);
      if (escaped > '~' && isGoSpace(escaped))
        throw new Error(`has ${escapeCharacter} before a space that is not ASCII`);
      word += escaped;
      at += 1;
    } else if (quote === '' && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = '';
  }
  if (quote !== '') throw new Error(`has no second ${quote}`);
  if (word !== '') words.push(word);
  return words;
}

/**
 * Reads a JSON list of strings at the beginning of a text. The rest of the text is ignored, as buildah and BuildKit do.
 *
 * @returns the strings, or undefined when the text does not begin with a list: then it is for a shell
 * @throws Error for a list that holds anything but strings, which buildah and BuildKit refuse
 */
export function readJsonForm(text: string): string[] | undefined {
  const end = endOfArray(text);
  if (end === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text.slice(0, end));
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const words = value.filter(word => typeof word === 'string');
  if (words.length !== value.length) throw new Error('is a JSON list of something other than strings');
  // Go puts U+FFFD for half of a surrogate pair.
  return words.map(word => word.toWellFormed());
}

const token =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON knows none in a text
  /[ \t\r\n]*(?:([[{])|([\]}])|([,:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null))/y;

/** Returns where the array at the beginning of the text ends, or undefined when it does not begin or end. Commas and colons are not checked. */
function endOfArray(text: string): number | undefined {
  if (!text.startsWith('[')) return undefined;
  const scanner = new RegExp(token);
  for (let depth = 0; ; ) {
    const [, open, close] = scanner.exec(text) ?? [undefined];
    if (scanner.lastIndex === 0) return undefined;
    if (open !== undefined) depth += 1;
    if (close !== undefined) depth -= 1;
    if (depth === 0) return scanner.lastIndex;
  }
}
