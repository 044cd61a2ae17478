import { allowedSets } from './judged-flows.ts';
import { isAddress, isPort, type ListedFlow } from './rule.ts';

/**
 * The guard's sets hold allowed flows as elements: `src . dst`, then the protocol, then the destination port, as far as the
 * rule names them. nft tells which set an element is in from how many parts it has.
 */
export const guardSets = [allowedSets.hosts, allowedSets.protocols, allowedSets.ports] as const;
export type GuardSet = (typeof guardSets)[number];

/** A flow without its namespace, which an element does not have. */
export type ElementFlow = Omit<ListedFlow, 'comment'>;

/** Which of the sets the rule's element is in. */
export function guardSetOf({ proto, port }: Pick<ElementFlow, 'proto' | 'port'>): GuardSet {
  if (port !== 0) return allowedSets.ports;
  return proto === '' ? allowedSets.hosts : allowedSets.protocols;
}

/** The rule's element as nft reads and prints it. Rules that differ in their namespace alone have the same one. */
export function elementOf({ src, dst, proto, port }: ElementFlow): string {
  if (port !== 0) return `${src} . ${dst} . ${proto} . ${port}`;
  return proto === '' ? `${src} . ${dst}` : `${src} . ${dst} . ${proto}`;
}

const pattern = /^(\S+) \. (\S+)(?: \. (tcp|udp)(?: \. ([1-9]\d{0,4}))?)?$/;

/** Reads an element back, with or without the braces around it; undefined when it is none of an allow rule. */
export function readElement(text: string): ElementFlow | undefined {
  const bare = text.startsWith('{ ') && text.endsWith(' }') ? text.slice(2, -2) : text;
  const [whole, src = '', dst = '', proto = '', port = '0'] = pattern.exec(bare) ?? [];
  if (whole === undefined || !isAddress(src) || !isAddress(dst)) return undefined;
  return port !== '0' && !isPort(Number(port)) ? undefined : { src, dst, proto, port: Number(port) };
}
