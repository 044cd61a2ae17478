import { boolean, defineCommand } from '@coold/runtime';
import { cooldCommand } from '../config.ts';

const { unixSocketPath } = cooldCommand.options;

/** `coold why`: whether a flow would pass this host, and why, for a person. It asks the daemon's socket, as `coold status` does. */
export const whyCommand = defineCommand({
  name: 'coold why',
  envPrefix: 'COOLD_',
  otherNames: { prefixes: ['COOLIFY_COOLD_'], names: {} },
  summary:
    'SRC DST [tcp/PORT | udp/PORT]: tells whether the flow would pass this host, and why; each end is a name, an id or an address; exit 0: it passes, 1: it is blocked, 2: unknown or wrong usage, 3: coold is not reachable',
  options: {
    unixSocketPath: { ...unixSocketPath, help: 'Socket that coold is asked on' },
    json: {
      type: boolean,
      default: 'false',
      flagOnly: true,
      help: 'Prints the answer of firewall.explain, for programs',
    },
  },
  environmentFile: { path: '/etc/coolify/coold.env', options: ['unixSocketPath'] },
});

/** What is asked about. */
export interface Operands {
  src: string;
  dst: string;
  proto: string | undefined;
  port: string | undefined;
}

export type ReadOperands =
  | { kind: 'asked'; operands: Operands; flags: string[] }
  /** `flags` may ask for help. */
  | { kind: 'wrong'; why: string; flags: string[] };

/** Tells what is asked about from the flags, which may stand before, between and behind. Pure. */
export function readOperands(argv: readonly string[]): ReadOperands {
  const flags: string[] = [];
  const words: string[] = [];
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (!word.startsWith('-')) {
      words.push(word);
      continue;
    }
    flags.push(word);
    const value = argv[at + 1];
    if (word === '--unix-socket-path' && value !== undefined) {
      flags.push(value);
      at += 1;
    }
  }
  const [src, dst, form = '', ...more] = words;
  if (src === undefined || dst === undefined || more.length > 0)
    return { kind: 'wrong', why: 'expected SRC DST [tcp/PORT | udp/PORT]', flags };
  const [, proto, port] = /^(tcp|udp)(?:\/(\d{1,5}))?$/i.exec(form) ?? [];
  if (form !== '' && proto === undefined)
    return { kind: 'wrong', why: `${JSON.stringify(form)}: expected tcp, udp, tcp/PORT or udp/PORT`, flags };
  return { kind: 'asked', operands: { src, dst, proto: proto?.toLowerCase(), port }, flags };
}
