import { trimBlanks } from './go-space.ts';
import type { Flag } from './instruction.ts';

/** A whole one: its name, and its value plain or in quotes. */
const flag = /^--([a-z]+(?:-[a-z]+)*)(?:=(?:([!#-&(-[\]-~]*)|"([!#-&(-[\]-~]*)"|'([!#-&(-[\]-~]*)'))?$/;

/** A flag that is written in a way that only buildah would understand. */
export class FlagError extends Error {
  readonly flag: string;
  constructor(flag: string) {
    super(`${flag} is no flag`);
    this.name = 'FlagError';
    this.flag = flag;
  }
}

/**
 * Takes the flags off what follows an instruction's name.
 *
 * buildah finds their ends by single bytes, some of which, as a part of another character, it takes for a space; it takes
 * quotes and backslashes out wherever they stand. So a flag is ASCII, and quoted as a whole or not at all.
 *
 * @throws FlagError for one that is written otherwise
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

/** As it is rendered. */
export function writeFlag({ name, value }: Flag): string {
  return value === undefined ? `--${name}` : `--${name}=${value}`;
}
