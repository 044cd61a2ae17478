import { commentOf, type ListedFlow, type Rule, recognise, type Standing } from './rule.ts';

/** The bridged plane (docs/contract.md §4). */
export const bridgeTable = 'coolify_bridge';
export const bridgeChain = 'coolify_allow';
export const bridgePlace = `bridge ${bridgeTable} ${bridgeChain}`;

/** The rule as a line for `nft -f` (docs/contract.md §4); nothing in it but the comment needs quoting. */
export function nftLine(rule: Rule): string {
  const { src, dst, proto, port } = rule;
  const protocol = proto === '' ? '' : ` ip protocol ${proto}${port === 0 ? '' : ` th dport ${port}`}`;
  return `add rule ${bridgePlace} meta protocol ip ip saddr ${src} ip daddr ${dst}${protocol} accept comment "${commentOf(rule)}"`;
}

const linePattern = new RegExp(
  `^add rule ${bridgePlace} meta protocol ip ip saddr (\\S+) ip daddr (\\S+)(?: ip protocol (\\S+)(?: th dport (\\d+))?)? accept comment "([^"]*)"$`,
);

/** Reads a line of the snapshot back; undefined when it is not exactly one of ours. */
export function readNftLine(line: string): Rule | undefined {
  const [, src = '', dst = '', proto = '', port = '0', comment = ''] = linePattern.exec(line) ?? [];
  const rule = recognise({ src, dst, proto, port: Number(port), comment });
  return rule !== undefined && nftLine(rule) === line ? rule : undefined;
}

/** A rule as `nft -j` lists or announces it. */
export interface NftRule {
  family: string;
  table: string;
  chain: string;
  handle: number;
  /** What it matches; undefined when it does more or else than an allow rule. */
  flow: ListedFlow | undefined;
  text: string;
}

/** Reads the object under `rule` of nft's JSON; undefined when it is none. */
export function readNftRule(value: unknown): NftRule | undefined {
  if (!isObject(value)) return undefined;
  const { family, table, chain, handle, expr, comment = '' } = value;
  if (typeof family !== 'string' || typeof table !== 'string' || typeof chain !== 'string') return undefined;
  if (typeof handle !== 'number' || typeof comment !== 'string' || !Array.isArray(expr)) return undefined;
  return {
    ...{ family, table, chain, handle },
    flow: readFlow(expr, comment),
    // Made only where it is asked for: thousands of rules are read whose text nobody wants.
    get text() {
      return JSON.stringify({ expr, ...(comment === '' ? {} : { comment }) });
    },
  };
}

/** A rule of the bridged plane. */
export function standingOf({ flow, text }: Pick<NftRule, 'flow' | 'text'>): Standing {
  const rule = flow === undefined ? undefined : recognise(flow);
  return rule === undefined ? { kind: 'foreign', text } : { kind: 'rule', rule };
}

/** nft words a rule anew when it lists it (`tcp dport 80` for `ip protocol tcp th dport 80`), so its parts count. */
function readFlow(expr: readonly unknown[], comment: string): ListedFlow | undefined {
  const flow: ListedFlow = { src: '', dst: '', proto: '', port: 0, comment };
  let accepts = false;
  for (const part of expr) {
    if (!isObject(part)) return undefined;
    const [kind = '', ...more] = Object.keys(part);
    if (more.length > 0 || accepts) return undefined;
    if (kind === 'accept') accepts = true;
    else if (kind === 'match') {
      if (!readMatch(part['match'], flow)) return undefined;
    } else if (kind === 'xt') {
      // iptables-nft keeps a comment where nft does not show it.
      if (!isObject(part['xt']) || part['xt']['name'] !== 'comment') return undefined;
    } else if (kind !== 'counter') return undefined;
  }
  return accepts ? flow : undefined;
}

function readMatch(match: unknown, flow: ListedFlow): boolean {
  if (!isObject(match) || match['op'] !== '==' || !isObject(match['left'])) return false;
  const { left, right } = match;
  const { payload, meta } = left as Record<string, unknown>;
  if (isObject(meta)) {
    if (meta['key'] === 'protocol') return right === 'ip';
    return meta['key'] === 'l4proto' && setProto(flow, right);
  }
  if (!isObject(payload)) return false;
  const { protocol, field } = payload;
  switch (`${String(protocol)} ${String(field)}`) {
    case 'ip saddr':
      return setAddress(flow, 'src', right);
    case 'ip daddr':
      return setAddress(flow, 'dst', right);
    case 'ip protocol':
      return setProto(flow, right);
    case 'tcp dport':
    case 'udp dport':
      return setProto(flow, protocol) && setPort(flow, right);
    case 'th dport':
      return setPort(flow, right);
    default:
      return false;
  }
}

function setAddress(flow: ListedFlow, end: 'src' | 'dst', address: unknown): boolean {
  if (typeof address !== 'string' || flow[end] !== '') return false;
  flow[end] = address;
  return true;
}

function setProto(flow: ListedFlow, proto: unknown): boolean {
  if (typeof proto !== 'string' || (flow.proto !== '' && flow.proto !== proto)) return false;
  flow.proto = proto;
  return true;
}

function setPort(flow: ListedFlow, port: unknown): boolean {
  if (typeof port !== 'number' || flow.port !== 0) return false;
  flow.port = port;
  return true;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
