import type { ValueType } from '@coold/runtime';
import { isDnsLabel } from '../discovery/endpoint.ts';

const maxTextLength = 253;

/** A domain name, in lower case and without the dot of the root. */
export const domainName: ValueType<string> = {
  expected: 'a domain name such as coolify.internal',
  parse(text) {
    const name = text.endsWith('.') ? text.slice(0, -1) : text;
    if (name.length > maxTextLength || !name.split('.').every(isDnsLabel)) return undefined;
    return name.toLowerCase();
  },
};

/** A domain name as it is on the wire, as latin-1 text: each label behind its length, ended by the root's. */
export function wireName(name: string): string {
  return `${name
    .split('.')
    .map(part => String.fromCharCode(part.length) + part)
    .join('')}\0`;
}
