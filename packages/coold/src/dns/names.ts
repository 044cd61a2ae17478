import type { ValueType } from '@coold/runtime';

/** As hosts and services are named; `web_1` is fine (CONTRACT §5). */
const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;
const maxTextLength = 253;

/** A domain name, in lower case and without the dot of the root. */
export const domainName: ValueType<string> = {
  expected: 'a domain name such as coolify.internal',
  parse(text) {
    const name = text.endsWith('.') ? text.slice(0, -1) : text;
    if (name.length > maxTextLength || !name.split('.').every(part => label.test(part))) return undefined;
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
