import { CorrosionError } from './failure.ts';

/** A parameter of a statement. What comes back is another matter: rows are others' too, so whoever reads them checks. */
export type Value = string | number | null;

export type ChangeKind = 'insert' | 'update' | 'delete';

/** One line of the answer to a query or a subscription (docs/contract.md §5). */
export type Frame =
  | { kind: 'columns'; names: string[] }
  | { kind: 'row'; values: unknown[] }
  /** The end of the rows. `changeId`: where a subscription's changes go on from, where the agent says so. */
  | { kind: 'end'; changeId: number | undefined }
  | { kind: 'change'; change: ChangeKind; values: unknown[]; changeId: number }
  | { kind: 'error'; message: string };

/**
 * Reads one line. @returns undefined for an object of a kind that is not known: an agent of another version may have more
 * to say. @throws CorrosionError `malformed`
 */
export function parseFrame(line: string): Frame | undefined {
  let frame: unknown;
  try {
    frame = JSON.parse(line);
  } catch {
    throw malformed('a line that is not JSON', line);
  }
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame))
    throw malformed('a line that is no frame', line);
  if ('row' in frame) return { kind: 'row', values: pair(frame.row, line) };
  if ('change' in frame) return change(frame.change, line);
  if ('columns' in frame) {
    const names = frame.columns;
    if (!Array.isArray(names) || !names.every(name => typeof name === 'string'))
      throw malformed('columns', line);
    return { kind: 'columns', names };
  }
  if ('eoq' in frame) {
    const end = frame.eoq;
    if (typeof end !== 'object' || end === null) throw malformed('eoq', line);
    if (!('change_id' in end) || end.change_id === null) return { kind: 'end', changeId: undefined };
    return { kind: 'end', changeId: id(end.change_id, line) };
  }
  if ('error' in frame) return { kind: 'error', message: String(frame.error).slice(0, 1024) };
  return undefined;
}

function change(value: unknown, line: string): Frame {
  if (!Array.isArray(value)) throw malformed('change', line);
  const [kind, , cells, changeId]: unknown[] = value;
  if (kind !== 'insert' && kind !== 'update' && kind !== 'delete') throw malformed('change[0]', line);
  return { kind: 'change', change: kind, values: values(cells, line), changeId: id(changeId, line) };
}

/** `[rowid, values]`: rows are told apart by their key, which is one of the values. */
function pair(value: unknown, line: string): unknown[] {
  if (!Array.isArray(value)) throw malformed('row', line);
  return values(value[1], line);
}

function values(value: unknown, line: string): unknown[] {
  if (!Array.isArray(value)) throw malformed('values', line);
  return value;
}

function id(value: unknown, line: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw malformed('a change id', line);
  return value;
}

function malformed(what: string, line: string): CorrosionError {
  return new CorrosionError('malformed', `answered ${what} that is not understood: ${line.slice(0, 200)}`);
}
