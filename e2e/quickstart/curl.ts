// Formats a call as a line that a reader can paste. Pure.
import type { Call } from './story/step.ts';

/** Returns a shell line with the necessary quotes. Streams are shown unbuffered. */
export function asCurl(socketPath: string, { method, path, body }: Call): string {
  const isStream = path.endsWith('/stream');
  return [
    'curl',
    ...(isStream ? ['-sSN'] : ['-sS']),
    ...['--unix-socket', quoted(socketPath)],
    ...(body === undefined && method !== 'GET' ? ['-X', method] : []),
    ...(body === undefined
      ? []
      : ['-H', quoted('content-type: application/json'), '-d', quoted(JSON.stringify(body))]),
    quoted(`http://broker${path}`),
  ].join(' ');
}

/** Quotes a word for a shell, if necessary. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
