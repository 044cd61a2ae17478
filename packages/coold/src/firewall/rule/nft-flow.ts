import type { ListedFlow } from './rule.ts';

/**
 * Parses a rule as nft lists and announces it; undefined when it differs from allow rules. nft rewords rules, and its
 * versions differ; each part may appear once.
 */
export function readFlow(text: string): ListedFlow | undefined {
  const words = text.split(' ').filter(word => word !== '');
  const flow: ListedFlow = { src: '', dst: '', proto: '', port: 0, comment: '' };
  let at = 0;
  for (; at < words.length && words[at] !== 'accept'; ) {
    const size = readPart(flow, words, at);
    if (size === 0) return undefined;
    at += size;
  }
  const [accept, ...marks] = words.slice(at);
  if (accept === undefined) return undefined;
  if (marks.length === 0) return flow;
  const [, comment] = /^comment "([^"]+)"$/.exec(marks.join(' ')) ?? [];
  return comment === undefined ? undefined : { ...flow, comment };
}

/** Adds a part of a rule to a flow. @returns the part's number of words; 0 when no allow rule has such a part */
function readPart(flow: ListedFlow, words: readonly string[], at: number): number {
  const [first = '', second = '', third = ''] = words.slice(at, at + 3);
  switch (`${first} ${second}`) {
    case 'ip saddr':
      if (flow.src !== '') return 0;
      flow.src = third;
      return 3;
    case 'ip daddr':
      if (flow.dst !== '') return 0;
      flow.dst = third;
      return 3;
    case 'ip protocol':
    case 'meta l4proto':
      return setProto(flow, third) ? 3 : 0;
    case 'meta protocol':
    case 'ether type':
      return third === 'ip' ? 3 : 0;
    case 'tcp dport':
    case 'udp dport':
      return setProto(flow, first) && setPort(flow, third) ? 3 : 0;
    case 'th dport':
      return setPort(flow, third) ? 3 : 0;
    case 'counter packets':
      return words[at + 3] === 'bytes' ? 5 : 0;
    // iptables-nft keeps a comment where nft does not show it.
    case 'xt match':
      return third === '"comment"' || third === 'comment' ? 3 : 0;
    default:
      return 0;
  }
}

function setProto(flow: ListedFlow, proto: string): boolean {
  if (flow.proto !== '' && flow.proto !== proto) return false;
  flow.proto = proto;
  return true;
}

function setPort(flow: ListedFlow, port: string): boolean {
  if (flow.port !== 0 || !/^[1-9]\d{0,4}$/.test(port)) return false;
  flow.port = Number(port);
  return true;
}
