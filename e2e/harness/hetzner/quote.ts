import { HarnessError } from '../provider.ts';

/**
 * Returns a line that a POSIX shell splits into exactly these words. ssh joins its arguments with spaces and gives them
 * to the remote shell, so an argument vector has to be quoted.
 *
 * @throws HarnessError when a word contains NUL, which no argument can
 */
export function shellLine(words: readonly string[]): string {
  return words.map(quoted).join(' ');
}

function quoted(word: string): string {
  if (word.includes('\0'))
    throw new HarnessError('an argument holds a NUL character, which no program can get');
  // Within single quotes, a shell interprets only the closing quote, so quotes are escaped between quoted parts.
  return `'${word.replaceAll("'", "'\\''")}'`;
}
