import { FieldError } from './field-error.ts';

/** Deeper is no request of ours, and work for nobody but us. */
export const maxJsonDepth = 32;

/** Keeps nothing from one text to the next. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a JSON text strictly: UTF-8, nested at most `maxJsonDepth` deep, and without keys that mean something else to
 * JavaScript. Of duplicate keys the last counts; what is passed on is always written anew from what was read here.
 *
 * @throws FieldError naming what offends, `body` where the text is none
 */
export function readJsonText(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (error) {
    // The engine's message quotes the text, which may hold a secret.
    throw new FieldError('body', error instanceof SyntaxError ? 'is not JSON' : 'is not UTF-8');
  }
  // Where it is not is looked for then: thousands of places would each be spelled out in vain.
  if (!isPlain(value, 1)) check(value, '', 1);
  return value;
}

function isPlain(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth > maxJsonDepth) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object' && !isPlain(item, depth + 1)) return false;
    return true;
  }
  for (const name in value) {
    if (name === '__proto__') return false;
    const item = (value as Record<string, unknown>)[name];
    if (typeof item === 'object' && !isPlain(item, depth + 1)) return false;
  }
  return true;
}

/** @throws FieldError naming what offends */
function check(value: unknown, path: string, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > maxJsonDepth) throw new FieldError('body', `is nested deeper than ${maxJsonDepth}`);
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) check(item, `${path}[${index}]`, depth + 1);
    return;
  }
  for (const [name, item] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`;
    // JSON.parse makes it a plain property, but one assignment later it would be a prototype.
    if (name === '__proto__') throw new FieldError(at, 'is not a field of this request');
    check(item, at, depth + 1);
  }
}
