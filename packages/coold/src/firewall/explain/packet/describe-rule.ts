import type { Expression, Verdict } from '../kernel/expressions.ts';
import type { ChainRule, Place } from '../kernel/rules.ts';
import type { PortRange, XtablesMatch } from '../kernel/xtables.ts';

/**
 * Describes a rule in words like those of `nft list`, from the kernel's form, because nft's words differ from version
 * to version. Pure.
 */
export function describeRule({ expressions, comment }: ChainRule): string {
  const loaded = new Map<number, string>();
  const words: string[] = [];
  for (const expression of expressions) words.push(...wordsOf(expression, loaded));
  return [...words, ...(comment === '' ? [] : [`comment "${comment}"`])].join(' ');
}

/** Returns a chain's place as nft or iptables names it. */
export function describePlace({ family, table, chain }: Place): string {
  return family === 'legacy' ? `iptables-legacy ${table} ${chain}` : `${family} ${table} ${chain}`;
}

/** @param loaded words for what each register holds; is changed */
function wordsOf(expression: Expression, loaded: Map<number, string>): string[] {
  const take = (from: number) => loaded.get(from) ?? 'a value';
  const put = (to: number, text: string) => {
    loaded.set(to, text);
    return [];
  };
  switch (expression.kind) {
    case 'payload':
      return put(expression.to, payloadName(expression));
    case 'meta':
      return put(expression.to, metaName(expression.key));
    case 'ct':
      return put(expression.to, connectionName(expression.key));
    case 'fib':
      return put(expression.to, `fib ${fibName(expression)}`);
    case 'set meta':
      return [`meta ${metaName(expression.key).replace('meta ', '')} set ${take(expression.from)}`];
    case 'set ct':
      return [`ct set ${take(expression.from)}`];
    case 'compare': {
      const subject = take(expression.from);
      // nft prints this before every IPv4 rule in an `inet` table.
      if (subject === 'meta nfproto') return [];
      const value = valueText(subject, expression.data);
      return [
        expression.operator === '==' ? `${subject} ${value}` : `${subject} ${expression.operator} ${value}`,
      ];
    }
    case 'range': {
      const { from, low, high, isInside } = expression;
      const subject = take(from);
      return [`${subject} ${isInside ? '' : '!= '}${valueText(subject, low)}-${valueText(subject, high)}`];
    }
    case 'mask':
      return put(
        expression.to,
        `${take(expression.from)} & ${hexText(take(expression.from), expression.mask)}`,
      );
    case 'byte order':
      return put(expression.to, take(expression.from));
    case 'lookup': {
      const { from, set, isInverted, to } = expression;
      const subject = [...loaded]
        .filter(([at]) => at >= from)
        .sort(([a], [b]) => a - b)
        .map(([, text]) => text)
        .join(' . ');
      const name = set.startsWith('__') ? 'one of a list' : `@${set}`;
      if (to !== undefined) put(to, `${subject} map ${name}`);
      return [`${subject === '' ? 'a value' : subject} ${isInverted ? '!= ' : ''}${name}`];
    }
    case 'data':
      return put(expression.to, `0x${expression.data.toString('hex')}`);
    case 'verdict':
      return verdictWords(expression.verdict);
    case 'translate':
      return [expression.what === 'source' ? 'translate the source' : 'translate the destination'];
    case 'match':
      return matchWords(expression.match);
    case 'target':
      switch (expression.target.kind) {
        case 'verdict':
          return verdictWords(expression.target.verdict);
        case 'translate':
          return [expression.target.what === 'source' ? 'translate the source' : 'translate the destination'];
        case 'mark':
        case 'mark not understood':
          return ['set the mark'];
        case 'no matter':
        case 'doubtful':
        case 'not understood':
          return [expression.target.name];
      }
      return [];
    case 'untrack':
      return ['notrack'];
    case 'update':
      return [`update @${expression.set}`];
    case 'rewrite':
      return [expression.name];
    case 'no matter':
      return expression.name === 'counter' ? [] : [expression.name];
    case 'value not understood':
      return put(expression.to, expression.name);
    case 'not understood':
      return [`(${expression.name}, which coold does not understand)`];
  }
}

function verdictWords(verdict: Verdict): string[] {
  switch (verdict.kind) {
    case 'jump':
    case 'goto':
      return [`${verdict.kind} ${verdict.chain}`];
    case 'elsewhere':
      return [verdict.name];
    case 'continue':
      return [];
    case 'accept':
    case 'drop':
    case 'return':
      return [verdict.kind];
  }
}

function payloadName({ base, offset, length }: { base: string; offset: number; length: number }): string {
  const known: Readonly<Record<string, string>> = {
    'network 12 4': 'ip saddr',
    'network 16 4': 'ip daddr',
    'network 9 1': 'ip protocol',
    'network 6 2': 'ip frag-off',
    'transport 0 2': 'th sport',
    'transport 2 2': 'th dport',
    'transport 13 1': 'tcp flags',
    'transport 0 1': 'icmp type',
    'link 12 2': 'ether type',
  };
  const exact = known[`${base} ${offset} ${length}`];
  if (exact !== undefined) return exact;
  // nftables compares only these bytes of a network whose length is a multiple of 8.
  if (base === 'network' && length < 4 && (offset === 12 || offset === 16))
    return offset === 12 ? 'ip saddr' : 'ip daddr';
  return `@${base},${offset * 8},${length * 8}`;
}

function fibName({ result, flags }: { result: number; flags: number }): string {
  const by = ['saddr', 'daddr', 'mark', 'iif', 'oif'].filter((_, bit) => (flags & (1 << bit)) !== 0);
  return `${by.join(' . ')} ${{ 1: 'oif', 2: 'oifname', 3: 'type' }[result] ?? result}`;
}

function metaName(key: number): string {
  const names: Readonly<Record<number, string>> = {
    1: 'meta protocol',
    3: 'meta mark',
    4: 'iif',
    5: 'oif',
    6: 'iifname',
    7: 'oifname',
    15: 'meta nfproto',
    16: 'meta l4proto',
    17: 'meta ibrname',
    18: 'meta obrname',
    19: 'meta pkttype',
  };
  return names[key] ?? `meta ${key}`;
}

function connectionName(key: number): string {
  return { 0: 'ct state', 1: 'ct direction', 2: 'ct status', 3: 'ct mark' }[key] ?? `ct ${key}`;
}

function valueText(subject: string, data: Buffer): string {
  if (subject.endsWith('name')) return `"${data.toString('latin1').replaceAll('\0', '')}"`;
  if (subject === 'ip saddr' || subject === 'ip daddr') {
    const address = [...data, 0, 0, 0].slice(0, 4).join('.');
    return data.length === 4 ? address : `${address}/${data.length * 8}`;
  }
  if (/^ip [sd]addr & /.test(subject)) return [...data].join('.');
  if (subject === 'th dport' || subject === 'th sport') return String(data.readUInt16BE(0));
  if (subject === 'ip protocol' || subject === 'meta l4proto')
    return { 1: 'icmp', 6: 'tcp', 17: 'udp' }[data[0] ?? 0] ?? String(data[0]);
  if (subject === 'meta protocol' || subject === 'ether type')
    return data.toString('hex') === '0800' ? 'ip' : `0x${data.toString('hex')}`;
  if (subject === 'ct direction') return data[0] === 1 ? 'reply' : 'original';
  if (/^fib .* oif$/.test(subject)) return data[0] === 0 ? 'missing' : 'exists';
  return hexText(subject, data);
}

/** Marks and states are kept in the machine's byte order. */
function hexText(subject: string, data: Buffer): string {
  const isHostNumber = data.length === 4 && /^(meta mark|ct (mark|state|status))/.test(subject);
  return `0x${isHostNumber ? data.readUInt32LE(0).toString(16) : data.toString('hex')}`;
}

function matchWords(match: XtablesMatch): string[] {
  const not = 'isInverted' in match && match.isInverted ? '!= ' : '';
  const range = ([low, high]: PortRange) => (low === high ? String(low) : `${low}-${high}`);
  switch (match.kind) {
    case 'always':
      return [];
    case 'all of':
      return match.matches.flatMap(matchWords);
    case 'ports':
      return [`${match.proto} ${match.side === 'source' ? 'sport' : 'dport'} ${not}${range(match.range)}`];
    case 'several ports':
      return [`${match.side} port ${not}${match.ranges.map(range).join(',')}`];
    case 'tcp flags':
      return [`tcp flags ${not}0x${match.value.toString(16)}/0x${match.mask.toString(16)}`];
    case 'icmp type':
      return [`icmp type ${not}${match.type}`];
    case 'state':
      return [`ct state ${not}0x${match.bits.toString(16)}`];
    case 'address type':
      return [`${match.side} address type ${not}0x${match.types.toString(16)}`];
    case 'mark':
      return [`mark ${not}0x${match.value.toString(16)}/0x${match.mask.toString(16)}`];
    case 'not understood':
      return [`(match ${match.name}, which coold does not understand)`];
  }
}
