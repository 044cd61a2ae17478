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
