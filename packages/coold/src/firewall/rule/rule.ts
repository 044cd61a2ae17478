import { hash } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { FieldError } from '@coold/proto';

/** One allowed flow, in the form that every place uses (docs/contract.md §4). */
export interface Rule {
  /** The first 12 hex digits of the SHA-256 of all other fields. */
  id: string;
  namespace: string;
  src: string;
  dst: string;
  /** Empty for every protocol. */
  proto: '' | 'tcp' | 'udp';
  /** 0 for every port. */
  port: number;
}

/** A flow as a caller requests it. Fields that are absent or empty take their defaults. */
export interface RuleInput {
  namespace?: string | undefined;
  src: string;
  dst: string;
  proto?: string | undefined;
  port?: number | undefined;
  id?: string | undefined;
}

export const defaultNamespace = 'default';

const dnsLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const idPattern = /^[0-9a-f]{12}$/;

/**
 * Normalises and validates a flow.
 *
 * @param path the flow's place in its request, for example `add[3]`
 * @throws FieldError naming the invalid field
 */
export function readRule(input: RuleInput, path = ''): Rule {
  const at = (name: string) => (path === '' ? name : `${path}.${name}`);
  const namespace = (input.namespace ?? '') === '' ? defaultNamespace : String(input.namespace);
  if (!isNamespace(namespace))
    throw new FieldError(
      at('namespace'),
      'expected a DNS label: 1 to 63 of lower-case letters, digits and "-"',
    );
  const src = readAddress(input.src, at('src'));
  const dst = readAddress(input.dst, at('dst'));
  const proto = (input.proto ?? '').toLowerCase();
  if (proto !== '' && proto !== 'tcp' && proto !== 'udp')
    throw new FieldError(at('proto'), 'expected "tcp", "udp" or none');
  const { port } = input;
  if (port !== undefined && !isPort(port))
    throw new FieldError(at('port'), 'expected a port from 1 to 65535');
  if (port !== undefined && proto === '') throw new FieldError(at('port'), 'needs a proto, tcp or udp');
  const rule = withId({ namespace, src, dst, proto, port: port ?? 0 });
  const { id = '' } = input;
  if (id !== '' && !isRuleId(id)) throw new FieldError(at('id'), 'expected 12 hex digits');
  if (id !== '' && id !== rule.id)
    throw new FieldError(at('id'), `is not the id of this rule, which is ${rule.id}`);
  return rule;
}

/** Completes a flow that is already in normal form. */
export function withId(flow: Omit<Rule, 'id'>): Rule {
  const { namespace, src, dst, proto, port } = flow;
  const id = hash('sha256', `${namespace}|${src}|${dst}|${proto}|${port}`, 'hex').slice(0, 12);
  return { id, namespace, src, dst, proto, port };
}

export function isRuleId(text: string): boolean {
  return idPattern.test(text);
}

export function isNamespace(text: string): boolean {
  return dnsLabel.test(text);
}

export function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** Whether a text is a container's address in canonical form: four decimal numbers, no leading zeros, not "any". */
export function isAddress(text: string): boolean {
  return isIPv4(text) && text !== '0.0.0.0';
}

/** The order of both snapshots: by namespace, then by id (docs/contract.md §4); both are ASCII. */
export function compareRules(a: Rule, b: Rule): number {
  return compareText(a.namespace, b.namespace) || compareText(a.id, b.id);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function readAddress(text: string, field: string): string {
  if (!isAddress(text))
    throw new FieldError(
      field,
      'expected one IPv4 address such as 10.210.5.2, not a network and not 0.0.0.0',
    );
  return text;
}

/** Returns the comment that marks one of our rules in the kernel. */
export function commentOf({ id, namespace }: Rule): string {
  return `cid:${id}:${namespace}`;
}

/** An entry of an allow chain: one of our rules, or something that another program put there. */
export type Standing = { kind: 'rule'; rule: Rule } | { kind: 'foreign'; text: string };

/** A flow as a plane's listing shows it. */
export interface ListedFlow {
  src: string;
  dst: string;
  proto: string;
  port: number;
  comment: string;
}

/**
 * Recognises a rule of ours by its comment, `cid:<id>:<namespace>` or the old `cid:<id>` of namespace default. One whose
 * id is not that of its flow is not ours to touch.
 */
export function recognise({ comment, src, dst, proto, port }: ListedFlow): Rule | undefined {
  const [mark, id = '', namespace = defaultNamespace, ...rest] = comment.split(':');
  if (mark !== 'cid' || rest.length > 0 || !isNamespace(namespace)) return undefined;
  if (proto !== '' && proto !== 'tcp' && proto !== 'udp') return undefined;
  if (port !== 0 && (proto === '' || !isPort(port))) return undefined;
  if (!isAddress(src) || !isAddress(dst)) return undefined;
  const rule = withId({ namespace, src, dst, proto, port });
  return rule.id === id ? rule : undefined;
}
