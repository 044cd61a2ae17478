import { BuildFailure } from '../build-failure.ts';

/** One instruction of a containerfile, with the lines that it takes, counted from 0. */
export interface Instruction {
  /** Its lines joined; without spaces before it. */
  text: string;
  first: number;
  last: number;
}

/** How a parser continues lines, which differs by the file and by the parser's version. */
export interface Reading {
  /** A directive at the top of the file may change it. */
  escape: '\\' | '`';
  /** Whether two of them at the end of a line continue it as well. */
  doubled: boolean;
}

/** Every way in which some parser may read a file. */
export const readings: readonly Reading[] = [
  { escape: '\\', doubled: true },
  { escape: '\\', doubled: false },
  { escape: '`', doubled: true },
  { escape: '`', doubled: false },
];

/** A space as the parsers of containerfiles know it: Go's, to which U+0085 is one and U+FEFF is none. */
export const space = String.raw`[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]`;

const leading = new RegExp(`^${space}+`);
const blank = new RegExp(`^${space}*(?:#.*)?$`, 's');

/**
 * The instructions of a containerfile as buildah's parser reads it: a comment never continues, and neither a comment nor an
 * empty line ends what is continued around it.
 */
export function readInstructions(text: string, { escape: character, doubled }: Reading): Instruction[] {
  const sign = character === '\\' ? '\\\\' : character;
  const continued = new RegExp(doubled ? `${sign}[ \\t]*$` : `(?<!${sign})${sign}[ \\t]*$`);
  const found: Instruction[] = [];
  let open: Instruction | undefined;
  const lines = text.replace(/^\ufeff/, '').split('\n');
  for (const [at, ended] of lines.entries()) {
    if (blank.test(ended)) continue;
    const line = ended.replace(/\r$/, '');
    open ??= { text: '', first: at, last: at };
    open.text += (open.text === '' ? line.replace(leading, '') : line).replace(continued, '');
    open.last = at;
    if (continued.test(line)) continue;
    found.push(open);
    open = undefined;
  }
  return open === undefined ? found : [...found, open];
}

const escapeDirective = /^\s*#\s*escape\s*=/im;

/** The ways in which this file may be read: with the other escape character only where a comment may set it. */
export function readingsOf(text: string): Reading[] {
  return readings.filter(reading => reading.escape === '\\' || escapeDirective.test(text));
}

/** Whether an instruction is this one, by its name in upper case. */
export function isInstruction(name: string): (instruction: Instruction) => boolean {
  const pattern = new RegExp(`^${space}*${name}(?:${space}|$)`, 'i');
  return ({ text }) => pattern.test(text);
}

/**
 * The instructions, where all that could be this one is one however lines are continued.
 *
 * @throws BuildFailure 422
 */
export function readUnambiguously(text: string, name: string): Instruction[] {
  const read = readingsOf(text).map(reading => readInstructions(text, reading));
  const named = read.map(instructions => JSON.stringify(instructions.filter(isInstruction(name))));
  const [instructions] = read;
  if (instructions === undefined || new Set(named).size > 1)
    throw new BuildFailure(
      422,
      'stack',
      `${name}: where its line begins depends on the escape character: write it on a line of its own`,
    );
  return instructions;
}
