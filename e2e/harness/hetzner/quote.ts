import { HarnessError } from '../provider.ts';

/**
 * One line for a POSIX shell that it takes apart into exactly these words. ssh hands its arguments to the other side's
 * shell joined by spaces, so an argument vector has to be quoted to arrive as one.
 *
 * @throws HarnessError when a word holds NUL, which no argument can
 */
export function shellLine(words: readonly string[]): string {
  return words.map(quoted).join(' ');
}

function quoted(word: string): string {
  if (word.includes('\0'))
    throw new HarnessError('an argument holds a NUL character, which no program can get');
  // Within single quotes a shell leaves everything alone but the quote itself, which is put in between, escaped.
  return `'${word.replaceAll("'", "'\\''")}'`;
}
