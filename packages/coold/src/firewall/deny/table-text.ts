/** One table as nft prints it, split into parts. */
export interface TableText {
  /** Properties of the table itself, such as `flags dormant`. */
  head: readonly string[];
  /**
   * The lines of each chain and set, under `chain NAME` and `set NAME`. The elements of a set are separate lines,
   * sorted.
   */
  parts: ReadonlyMap<string, readonly string[]>;
}

/** Takes a listing line by line, so that a listing of thousands of lines is never in memory as one text. */
export interface TableReader {
  take(line: string): void;
  /** The tables read so far, by family and name. */
  tables: ReadonlyMap<string, TableText>;
}

const tablePattern = /^table (\S+ \S+) \{/;
const partPattern = /^\t([a-z]+ \S+) \{/;
/** Newer nft versions print how full a set is. */
const notePattern = /\s+# (?:count|handle) \d+$/;

/**
 * Creates a reader of what `nft list` prints of tables, chains and sets.
 *
 * @param unread parts whose lines are skipped, such as `chain coolify_allow`
 */
export function createTableReader(unread: readonly string[] = []): TableReader {
  const tables = new Map<string, { head: string[]; parts: Map<string, readonly string[]> }>();
  let table: { head: string[]; parts: Map<string, readonly string[]> } | undefined;
  let part: { name: string; lines: string[] } | undefined;
  return {
    tables,
    take(line) {
      const [, place] = tablePattern.exec(line) ?? [];
      if (place !== undefined) {
        table = tables.get(place) ?? { head: [], parts: new Map() };
        tables.set(place, table);
        return;
      }
      if (table === undefined || line === '') return;
      if (line === '}') table = undefined;
      else if (part === undefined) {
        const [, name] = partPattern.exec(line) ?? [];
        if (name === undefined) table.head.push(line.trim());
        else part = { name, lines: [] };
      } else if (line === '\t}') {
        table.parts.set(part.name, withElements(part.lines));
        part = undefined;
      } else if (!unread.includes(part.name)) part.lines.push(line.trim().replace(notePattern, ''));
    },
  };
}

const elementsBegin = 'elements = {';

function withElements(lines: string[]): string[] {
  const at = lines.findIndex(line => line.startsWith(elementsBegin));
  if (at === -1) return lines;
  const text = lines.slice(at).join(' ').slice(elementsBegin.length).replace(/\}$/, '');
  const elements = text.split(',').map(element => element.trim());
  return [...lines.slice(0, at), ...elements.filter(element => element !== '').sort()];
}
