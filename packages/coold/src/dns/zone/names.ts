import type { ValueType } from '@coold/runtime';
import { isDnsLabel } from '../../discovery/endpoint.ts';

const maxTextLength = 253;

/** A domain name in lower case, without the final dot. */
export const domainName: ValueType<string> = {
  expected: 'a domain name such as coolify.internal',
  parse(text) {
    const name = text.endsWith('.') ? text.slice(0, -1) : text;
    if (name.length > maxTextLength || !name.split('.').every(isDnsLabel)) return undefined;
    return name.toLowerCase();
  },
};

/** Encodes a domain name for the wire, as latin-1 text: each label after its length, ended by the root. */
export function wireName(name: string): string {
  return `${name
    .split('.')
    .map(part => String.fromCharCode(part.length) + part)
    .join('')}\0`;
}

/** The reverse of `wireName`. */
export function domainText(wire: string): string {
  return (labelsBelow(wire, '\0') ?? []).join('.');
}

/** Whether a name is a zone's name or below it; both on the wire in lower case. */
export function isInZone(name: string, zone: string): boolean {
  return labelsBelow(name, zone) !== undefined;
}

/**
 * Returns the labels before a zone's name, both on the wire in lower case; undefined when the name is not in the zone.
 */
export function labelsBelow(name: string, zone: string): string[] | undefined {
  if (!name.endsWith(zone)) return undefined;
  const end = name.length - zone.length;
  const labels: string[] = [];
  let at = 0;
  while (at < end) {
    const next = at + 1 + name.charCodeAt(at);
    labels.push(name.slice(at + 1, next));
    at = next;
  }
  // Bytes that look like the zone's name may be inside a label.
  return at === end ? labels : undefined;
}
