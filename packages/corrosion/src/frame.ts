import { isObject, parseJson } from '@coold/runtime';
import { CorrosionError } from './failure.ts';

/** A parameter of a statement. Values in rows may come from other hosts, so their type is unknown and readers check them. */
export type Value = string | number | null;

export type ChangeKind = 'insert' | 'update' | 'delete';

/** One line of the answer to a query or a subscription (docs/contract.md §5). */
export type Frame =
  | { kind: 'columns'; names: string[] }
  | { kind: 'row'; values: unknown[] }
  /** The end of the rows. `changeId`: the id after which the changes of a subscription continue, if the agent sends it. */
  | { kind: 'end'; changeId: number | undefined }
  | { kind: 'change'; change: ChangeKind; values: unknown[]; changeId: number }
  | { kind: 'error'; message: string };

/**
 * Reads one line of an answer.
 *
 * @returns undefined for a frame of unknown kind, which an agent of another version may send
 * @throws CorrosionError `malformed`
 */
export function parseFrame(line: string): Frame | undefined {
  const frame = parseJson(line);
  if (frame === undefined) throw malformed('a line that is not JSON', line);
  if (!isObject(frame)) throw malformed('a line that is not a frame', line);
  if ('row' in frame) return { kind: 'row', values: pair(frame['row'], line) };
  if ('change' in frame) return change(frame['change'], line);
  if ('columns' in frame) {
    const names = frame['columns'];
    if (!Array.isArray(names) || !names.every(name => typeof name === 'string'))
      throw malformed('columns', line);
    return { kind: 'columns', names };
  }
  if ('eoq' in frame) {
    const end = frame['eoq'];
    if (!isObject(end)) throw malformed('eoq', line);
    const given = end['change_id'] ?? undefined;
    return { kind: 'end', changeId: given === undefined ? undefined : id(given, line) };
  }
  if ('error' in frame) return { kind: 'error', message: String(frame['error']).slice(0, 1024) };
  return undefined;
}

function change(value: unknown, line: string): Frame {
  if (!Array.isArray(value)) throw malformed('change', line);
  const [kind, , cells, changeId]: unknown[] = value;
  if (kind !== 'insert' && kind !== 'update' && kind !== 'delete') throw malformed('change[0]', line);
  return { kind: 'change', change: kind, values: values(cells, line), changeId: id(changeId, line) };
}

/** Reads `[rowid, values]`. The row id is dropped, since the key of a row is among its values. */
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
  return new CorrosionError('malformed', `answered what is not understood, ${what}: ${line.slice(0, 200)}`);
}
