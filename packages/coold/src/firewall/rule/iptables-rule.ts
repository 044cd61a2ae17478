import { commentOf, type ListedFlow, type Rule, recognise, type Standing } from './rule.ts';

/** Returns a rule's arguments after its chain, in the order of docs/contract.md §4. */
export function iptablesArgs(rule: Rule): string[] {
  return argumentText(rule).split(' ');
}

/** Returns the rule as a line for `iptables-restore`. */
export function iptablesLine(action: '-A' | '-D', chain: string, rule: Rule): string {
  return `${action} ${chain} ${argumentText(rule)}`;
}

/** Nothing in it needs quoting. Built as one text, because thousands are made at once. */
function argumentText(rule: Rule): string {
  const { src, dst, proto, port } = rule;
  const protocol = proto === '' ? '' : ` -p ${proto}${port === 0 ? '' : ` --dport ${port}`}`;
  return `-s ${src} -d ${dst}${protocol} -m comment --comment ${commentOf(rule)} -j ACCEPT`;
}

export interface ListedStanding {
  standing: Standing;
  /** The counters, when the listing has them. */
  counters: { packets: number; bytes: number } | undefined;
}

/**
 * Parses a line of `iptables -S`, `iptables -v -S` or a snapshot; undefined when it is not a rule of that chain. A line
 * that is not exactly one of our rules is foreign and keeps its text.
 */
export function readIptablesLine(chain: string, line: string): ListedStanding | undefined {
  const prefix = `-A ${chain} `;
  if (!line.startsWith(prefix)) return undefined;
  const words = line.slice(prefix.length);
  const options = readUsual(words) ?? readOptions(splitQuoted(words));
  const rule = options === undefined ? undefined : recognise(options);
  return {
    standing: rule === undefined ? { kind: 'foreign', text: line } : { kind: 'rule', rule },
    counters: options?.counters,
  };
}

/**
 * The usual form in which iptables prints our rules. There are thousands, and splitting each into words takes ten times
 * as long.
 */
const usualPattern =
  /^-s ([\d.]+)(?:\/32)? -d ([\d.]+)(?:\/32)?(?: -p (tcp|udp)(?: -m \3)?(?: --dport ([1-9]\d{0,4}))?)? -m comment --comment (?:"([\w:-]*)"|([\w:-]+)) -j ACCEPT$/;

function readUsual(words: string): Options | undefined {
  const [whole, src = '', dst = '', proto = '', port = '0', quoted, plain = ''] =
    usualPattern.exec(words) ?? [];
  if (whole === undefined) return undefined;
  return { src, dst, proto, port: Number(port), comment: quoted ?? plain, counters: undefined };
}

type Options = ListedFlow & { counters: ListedStanding['counters'] };

/** Returns a rule's options when they are those of our rules, each present once. */
function readOptions(words: readonly string[] | undefined): Options | undefined {
  if (words === undefined) return undefined;
  const found: Options = { src: '', dst: '', proto: '', port: 0, comment: '', counters: undefined };
  const seen = new Set<string>();
  let target = '';
  for (let index = 0; index < words.length; index += 2) {
    const [option = '', value] = words.slice(index, index + 2);
    if (value === undefined) return undefined;
    const key = option === '-m' ? `-m ${value}` : option;
    if (seen.has(key)) return undefined;
    seen.add(key);
    switch (key) {
      case '-s':
        found.src = oneHost(value);
        break;
      case '-d':
        found.dst = oneHost(value);
        break;
      case '-p':
        found.proto = value;
        break;
      case '--dport':
        found.port = decimal(value);
        break;
      case '--comment':
        found.comment = value;
        break;
      case '-j':
        target = value;
        break;
      case '-c': {
        const bytes = words[index + 2];
        if (bytes === undefined) return undefined;
        found.counters = { packets: decimal(value), bytes: decimal(bytes) };
        index += 1;
        break;
      }
      case '-m comment':
      case '-m tcp':
      case '-m udp':
        break;
      default:
        return undefined;
    }
  }
  return target === 'ACCEPT' ? found : undefined;
}

function oneHost(address: string): string {
  return address.endsWith('/32') ? address.slice(0, -3) : address;
}

/** Returns NaN for anything but a plain number; no check accepts NaN. */
function decimal(text: string): number {
  return /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN;
}

/** Splits as iptables-save quotes: words in double quotes, with a backslash before special characters. */
export function splitQuoted(text: string): string[] | undefined {
  const words: string[] = [];
  const pattern = /\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)/sy;
  let end = 0;
  while (end < text.trimEnd().length) {
    pattern.lastIndex = end;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    const [whole, quoted, plain = ''] = match;
    words.push(quoted === undefined ? plain : quoted.replaceAll(/\\(.)/gs, '$1'));
    end += whole.length;
  }
  return words;
}
