import { isAddress, isPort, type ListedFlow } from '../rule/rule.ts';
import { allowedSets } from './judged-flows.ts';

/**
 * The guard's sets hold allowed flows as elements: `src . dst`, then the protocol, then the destination port, as far as
 * the rule names them. nft knows the set of an element from its number of parts.
 */
export const guardSets = [allowedSets.hosts, allowedSets.protocols, allowedSets.ports] as const;
export type GuardSet = (typeof guardSets)[number];

/** A flow without its namespace, because an element has no namespace. */
export type ElementFlow = Omit<ListedFlow, 'comment'>;

/** Returns the set that holds the rule's element. */
export function guardSetOf({ proto, port }: Pick<ElementFlow, 'proto' | 'port'>): GuardSet {
  if (port !== 0) return allowedSets.ports;
  return proto === '' ? allowedSets.hosts : allowedSets.protocols;
}

/**
 * Returns the rule's element as nft reads and prints it. Rules that differ only in their namespace have the same
 * element.
 */
export function elementOf({ src, dst, proto, port }: ElementFlow): string {
  if (port !== 0) return `${src} . ${dst} . ${proto} . ${port}`;
  return proto === '' ? `${src} . ${dst}` : `${src} . ${dst} . ${proto}`;
}

const pattern = /^(\S+) \. (\S+)(?: \. (tcp|udp)(?: \. ([1-9]\d{0,4}))?)?$/;

/** Whether an element has the form that an allow rule gives it. */
export function isAllowed(element: string): boolean {
  return pattern.test(element);
}

/** Returns an element without its comment. The comment changes nothing about what the element allows. */
export function withoutComment(element: string): string {
  return element.endsWith('"') ? element.replace(/ comment "[^"]*"$/, '') : element;
}

/**
 * Parses an element, with or without the braces around it. Returns undefined when no allow rule makes such an element.
 */
export function readElement(text: string): ElementFlow | undefined {
  const bare = withoutComment(text.startsWith('{ ') && text.endsWith(' }') ? text.slice(2, -2) : text);
  const [whole, src = '', dst = '', proto = '', port = '0'] = pattern.exec(bare) ?? [];
  if (whole === undefined || !isAddress(src) || !isAddress(dst)) return undefined;
  return port !== '0' && !isPort(Number(port)) ? undefined : { src, dst, proto, port: Number(port) };
}
