import type { ServerResponse } from 'node:http';

/** Bytes are lists of numbers on the wire, as Corrosion's are. */
function wireValue(this: unknown, _key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? [...value] : value;
}

export function toJson(value: unknown): string {
  return JSON.stringify(value, wireValue);
}

/** Writes values as lines; a reader who lets more than `maxBacklog` bytes pile up is cut off. */
export function ndjsonWriter(res: ServerResponse, maxBacklog: number): (value: unknown) => void {
  return value => {
    if (res.destroyed || res.writableEnded) return;
    res.write(`${toJson(value)}\n`);
    if (res.writableLength > maxBacklog) res.destroy();
  };
}
