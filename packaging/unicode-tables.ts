/**
 * Node carries Unicode's tables for all languages and character sets: 33 MB of its program. The programs here use those of the
 * root locale and of English alone, and UTF-8, for which Node has code. This is what `configure --with-intl=small-icu` leaves
 * out when Node is built, taken out of a Node that is built.
 */

/** Before the format's name stand the header's size (2 bytes), the magic number 0xda 0x27, and 8 bytes about the machine. */
const formatName = Buffer.from('CmnD');
const formatNameAt = 12;
/** Each table begins at a multiple of this, in bytes. */
const alignment = 16;

interface Table {
  name: string;
  start: number;
  end: number;
}

/** What was done to a program; sizes in bytes. */
export interface Trimmed {
  kept: number;
  removed: number;
}

/**
 * Takes the tables that nothing here reads out of a Node program, in place. What is left stands together at the beginning, and
 * zeros stand for the rest, which need no space where files may have holes. No other byte of the program changes.
 *
 * @throws Error when the program has no such tables, or more than one set
 */
export function trimUnicodeTables(program: Buffer): Trimmed {
  const base = findTables(program);
  const tables = readTables(program, base);
  const kept = tables.filter(({ name }) => isWanted(name.slice(name.indexOf('/') + 1)));
  const contents = kept.map(({ start, end }) => Buffer.from(program.subarray(base + start, base + end)));
  const names = kept.map(({ name }) => Buffer.from(`${name}\0`));
  // How long the last table is stands nowhere, so it is left as it is.
  const last = tables.at(-1);
  if (last === undefined || kept.includes(last))
    throw new Error('the last of the tables of Unicode cannot be kept');
  const end = last.start;
  let nameAt = 4 + 8 * kept.length;
  let contentAt = align(nameAt + names.reduce((sum, name) => sum + name.length, 0));
  const made = Buffer.alloc(end);
  made.writeUInt32LE(kept.length, 0);
  for (const [index, content] of contents.entries()) {
    const name = names[index] ?? Buffer.alloc(0);
    if (contentAt + content.length > end)
      throw new Error('what is left of the tables of Unicode is no smaller');
    made.writeUInt32LE(nameAt, 4 + 8 * index);
    made.writeUInt32LE(contentAt, 8 + 8 * index);
    name.copy(made, nameAt);
    content.copy(made, contentAt);
    nameAt += name.length;
    contentAt = align(contentAt + content.length);
  }
  made.copy(program, base);
  return { kept: contentAt, removed: end - contentAt };
}

/** Where the list of tables begins in a program. */
function findTables(program: Buffer): number {
  const found: number[] = [];
  for (let at = program.indexOf(formatName); at !== -1; at = program.indexOf(formatName, at + 1)) {
    const header = at - formatNameAt;
    if (header < 0 || program.readUInt16BE(header + 2) !== 0xda27) continue;
    const base = header + program.readUInt16LE(header);
    if (tableName(program, base, 0).startsWith('icudt')) found.push(base);
  }
  const [base] = found;
  if (base === undefined || found.length > 1)
    throw new Error(`Node has ${found.length} sets of Unicode's tables: expected one`);
  return base;
}

function readTables(program: Buffer, base: number): Table[] {
  const count = program.readUInt32LE(base);
  const starts = Array.from({ length: count }, (_, index) => program.readUInt32LE(base + 8 + 8 * index));
  return starts.map((start, index) => ({
    name: tableName(program, base, index),
    start,
    end: starts[index + 1] ?? start,
  }));
}

function tableName(program: Buffer, base: number, index: number): string {
  const start = base + program.readUInt32LE(base + 4 + 8 * index);
  return program.toString('latin1', start, program.indexOf(0, start));
}

/** Whether a table of this path, such as `coll/de.res`, is read by anything here. Exported for its test. */
export function isWanted(path: string): boolean {
  const [, name = '', kind = ''] = /([^/]+)\.([a-z]+)$/.exec(path) ?? [];
  switch (kind) {
    // Character sets other than those that ICU has code for.
    case 'cnv':
      return false;
    // Words of languages that are written without spaces.
    case 'dict':
      return false;
    case 'res':
      if (/^(?:translit|rbnf)\//.test(path)) return false;
      // English, and what is of no language: names of locales have two or three letters at their beginning.
      return /^en(?:_US)?$/.test(name) || !/^[a-z]{2,3}(?:_|$)/.test(name);
    default:
      return true;
  }
}

function align(offset: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
