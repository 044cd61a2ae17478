import { trimBlanks } from './go-space.ts';
import type { Flag } from './instruction.ts';

/** A complete flag: its name, and its value without quotes or quoted as a whole. */
const flag = /^--([a-z]+(?:-[a-z]+)*)(?:=(?:([!#-&(-[\]-~]*)|"([!#-&(-[\]-~]*)"|'([!#-&(-[\]-~]*)'))?$/;

/** A flag in a notation that only buildah would understand. */
export class FlagError extends Error {
  readonly flag: string;
  constructor(flag: string) {
    super(`${flag} is no flag`);
    this.name = 'FlagError';
    this.flag = flag;
  }
}

/**
 * Splits the text after an instruction's name into its flags and the rest.
 *
 * buildah finds the end of a flag byte by byte, and takes some bytes of a longer character for a space. It removes quotes and
 * backslashes anywhere in a flag. So a flag must be ASCII, and quoted as a whole or not at all.
 *
 * @throws FlagError for a flag in any other notation
 */
export function takeFlags(text: string): { flags: Flag[]; rest: string } {
  const flags: Flag[] = [];
  let rest = text;
  while (rest.startsWith('--')) {
    const [word = ''] = /^[^ \t]+/.exec(rest) ?? [];
    flags.push(readFlag(word));
    rest = trimBlanks(rest.slice(word.length));
  }
  return { flags, rest };
}

function readFlag(word: string): Flag {
  const found = flag.exec(word);
  if (found === null) throw new FlagError(word);
  const [, name = '', plain, double, single] = found;
  const value = plain ?? double ?? single;
  return value === undefined ? { name } : { name, value };
}

/** Returns the flag as it is rendered: without quotes. */
export function writeFlag({ name, value }: Flag): string {
  return value === undefined ? `--${name}` : `--${name}=${value}`;
}
