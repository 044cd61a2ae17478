import { fromJson } from '@bufbuild/protobuf';
import {
  type FirewallExplainResponse,
  FirewallExplainResponseSchema,
  type FirewallFlowEnd,
  type FirewallHop,
} from '@coold/proto';

/** What coold said of a flow. */
export type Explained = FirewallExplainResponse;

/** @throws Error when it is not what this version of coold answers */
export function readExplained(body: unknown): Explained {
  return fromJson(FirewallExplainResponseSchema, JSON.parse(JSON.stringify(body)), {
    ignoreUnknownFields: true,
  });
}

const hopNames: Readonly<Record<string, string>> = {
  source_bridge: "source's bridge",
  source_forward: "source host's FORWARD",
  wireguard: 'WireGuard',
  destination_forward: "destination host's FORWARD",
  destination_bridge: "destination's bridge",
  bridge: 'the bridge of both',
  forward: "this host's FORWARD",
};

/** What a person reads: the verdict, the way hop by hop, what would open it, and whom else to ask. Pure. */
export function renderWhy(explained: Explained): string {
  const { src, dst, proto, port, hops, allow, elsewhere, notes } = explained;
  const form =
    proto === undefined ? 'any protocol' : `${proto}${port === undefined ? ', any port' : `/${port}`}`;
  const lines = [
    `${endText(src)} -> ${endText(dst)}, ${form}: ${verdictText(explained)}`,
    '',
    ...hops.flatMap(hopLines),
  ];
  if (allow !== undefined)
    lines.push('', 'to open it, call firewall.allow of this host with', `  ${JSON.stringify(bodyOf(allow))}`);
  for (const { hostMgmtIp, command } of elsewhere) {
    const host = hostMgmtIp === '' ? 'the other host' : `host ${hostMgmtIp}`;
    if (command === undefined) continue;
    const ask = [command.src, command.dst, ...formWords(command)].join(' ');
    lines.push(
      ...['', `${host} judges the rest: run there`, `  coold why ${ask}`, 'or dispatch to it'],
      `  ${JSON.stringify({ type: command.type, ...bodyOf(command) })}`,
    );
  }
  if (notes.length > 0) lines.push('', ...notes.map(note => `note: ${note}`));
  return `${lines.join('\n')}\n`;
}

function verdictText({ verdict, elsewhere }: Explained): string {
  const rest = elsewhere.length === 0 ? '' : ', as far as this host is concerned';
  switch (verdict) {
    case 'passes':
      return `passes${rest}`;
    case 'blocked':
      return 'BLOCKED';
    default:
      return 'not known';
  }
}

function endText(end: FirewallFlowEnd | undefined): string {
  if (end === undefined) return '?';
  const { name, namespace, address } = end;
  if (name === '') return address;
  return `${name}${namespace === '' ? '' : `.${namespace}`} (${address})`;
}

function hopLines({ hop, verdict, why, by }: FirewallHop): string[] {
  const shown =
    { passes: 'passes', blocked: 'BLOCKED', unknown: 'not known', elsewhere: '-' }[verdict] ?? verdict;
  const ids = by === undefined || by.ruleIds.length === 0 ? '' : ` (allow rule ${by.ruleIds.join(', ')})`;
  return [
    `  ${(hopNames[hop] ?? hop).padEnd(27)} ${shown.padEnd(9)} ${why}`,
    ...(by === undefined ? [] : [`${' '.repeat(40)}${by.chain}: ${by.text}${ids}`]),
  ];
}

interface Flow {
  namespace?: string | undefined;
  src: string;
  dst: string;
  proto?: string | undefined;
  port?: number | undefined;
}

function bodyOf({ namespace, src, dst, proto, port }: Flow): Flow {
  return {
    ...(namespace === undefined || namespace === '' ? {} : { namespace }),
    src,
    dst,
    ...(proto === undefined ? {} : { proto }),
    ...(port === undefined ? {} : { port }),
  };
}

function formWords({ proto, port }: Pick<Flow, 'proto' | 'port'>): string[] {
  if (proto === undefined) return [];
  return [port === undefined ? proto : `${proto}/${port}`];
}
