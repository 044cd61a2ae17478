import { isGoSpace } from './go-space.ts';
import type { Escape } from './instruction.ts';

/**
 * Splits words at spaces and tabs, and leaves them their quotes, as ENV, LABEL and ARG have them.
 *
 * @throws Error saying what is wrong: a quote that is open at the end, another kind of space outside quotes
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
