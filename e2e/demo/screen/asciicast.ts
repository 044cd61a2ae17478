// Terminal recordings in the asciicast v2 format: a header, then one line per piece of output.
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Size } from './draw.ts';

export interface Recording extends Disposable {
  write(text: string): void;
}

/** @throws Error when the file cannot be written */
export function startRecording(path: string, { columns, rows }: Size): Recording {
  const file = openSync(path, 'w', 0o644);
  const header = {
    version: 2,
    width: columns,
    height: rows,
    title: 'npm run demo',
    env: { TERM: 'xterm-256color' },
  };
  writeSync(file, `${JSON.stringify(header)}\n`);
  const began = performance.now();
  return {
    write(text) {
      const at = Math.round(performance.now() - began) / 1000;
      writeSync(file, `${JSON.stringify([at, 'o', text])}\n`);
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}

export interface Cast {
  width: number;
  height: number;
  output: readonly { at: number; text: string }[];
}

/** @throws Error when the text is not asciicast v2 */
export function parseCast(text: string): Cast {
  const [first = '', ...rest] = text.split('\n').filter(line => line !== '');
  const header: unknown = JSON.parse(first);
  if (typeof header !== 'object' || header === null || !('version' in header) || header.version !== 2)
    throw new Error('expected a header of asciicast v2');
  const [width, height] = ['width', 'height'].map(name => Number(new Map(Object.entries(header)).get(name)));
  if (width === undefined || height === undefined || !(width > 0 && height > 0))
    throw new Error('expected a width and a height');
  const output = rest.flatMap(line => {
    const event: unknown = JSON.parse(line);
    if (!Array.isArray(event)) throw new Error(`expected an event, got ${line}`);
    const [at, kind, data]: unknown[] = event;
    return kind === 'o' && typeof at === 'number' && typeof data === 'string' ? [{ at, text: data }] : [];
  });
  return { width, height, output };
}
