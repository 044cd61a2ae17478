import { VerbError } from '@coold/errors';
import {
  type FirewallExplainRequest,
  FirewallExplainRequestSchema,
  FirewallExplainResponseSchema,
} from '@coold/proto';
import { errorMessage } from '@coold/runtime';
import { type WireguardPeer, wireguardInterface } from '../discovery/hosts/host-facts.ts';
import {
  type Decider,
  explainFlow,
  type FilterReaders,
  UnsteadyError,
} from '../firewall/explain/explain-flow.ts';
import { judgeWireguard } from '../firewall/explain/judge-wireguard.ts';
import { findWay, type Position, positionOf } from '../firewall/explain/packet/find-way.ts';
import type { NetlinkSocket } from '../firewall/netlink/netlink-socket.ts';
import { covers } from '../firewall/rule/cidr.ts';
import { isNamespace, isPort, type Rule } from '../firewall/rule/rule.ts';
import { type Handler, handler } from '../handler.ts';
import type { ListedContainer } from '../podman/listed-containers.ts';
import { type Field, type FlowEnd, type FlowEndsOptions, readFlowEnd, several } from './flow-ends.ts';
import { invalid } from './names.ts';
import type { MeshRanges } from './network/mesh-ranges.ts';
import { createTurns } from './turns.ts';

/** What firewall.explain needs. */
export interface ExplainOptions extends FlowEndsOptions {
  /** Undefined: this Node cannot call C, or must not (docs/decisions/node-ffi.md). */
  readers: FilterReaders | undefined;
  readPeers(signal: AbortSignal): Promise<readonly WireguardPeer[] | undefined>;
  meshRanges(): Promise<MeshRanges>;
  /** The containers of this host, for their published ports. */
  listed(signal: AbortSignal): Promise<readonly ListedContainer[]>;
  /** Hosts that were not seen for too long. */
  hostsGone(): readonly string[];
  /** The allow rules, by which a set's element is told the ids that it stands for. */
  rules(): Iterable<Rule>;
}

/** One end, where it is for this host. */
interface PlacedEnd {
  address: string;
  position: Position;
  end: FlowEnd;
}

interface Hop {
  hop: string;
  verdict: 'passes' | 'blocked' | 'unknown' | 'elsewhere';
  why: string;
  by?: { chain: string; text: string; ruleIds: string[] };
}

/** An answer may list chains of thousands of rules, and run programs that do. */
const atOnce = 4;
/** As many as commands of a stream. */
const mostWaiting = 1024;

/** firewall.explain (docs/contract.md §3): whether a flow passes this host, by the rules that its kernel has now. */
export function explainHandlers(options: ExplainOptions): Record<string, Handler> {
  const turns = createTurns(atOnce, mostWaiting);
  return {
    'firewall.explain': handler(
      FirewallExplainRequestSchema,
      FirewallExplainResponseSchema,
      (request, signal) => turns.take(signal, () => explain(request, options, signal)),
    ),
  };
}

async function explain(request: FirewallExplainRequest, options: ExplainOptions, signal: AbortSignal) {
  const { proto, port } = readForm(request);
  const { readers } = options;
  if (readers === undefined)
    throw new VerbError(
      'not_supported',
      'coold cannot read the packet filter: node:ffi is missing, or turned off by COOLD_DNS_IO=node',
    );
  using routes = readers.open('routes');
  const [from, to] = await placeEnds(request, routes, options, signal);
  const flow = { src: from.address, dst: to.address, proto, port };
  const [{ way, sourceLink, problem }, peers] = await told(
    Promise.all([
      findWay(routes, flow, from.position, to.position, wireguardInterface),
      from.position.kind === 'here' && to.position.kind === 'here' ? undefined : options.readPeers(signal),
    ]),
  );
  const { hops: judged, ruleOpens } =
    way === undefined
      ? { hops: [], ruleOpens: undefined }
      : await told(explainFlow(flow, way, sourceLink, readers));
  const own = judged.map(
    ({ by, ...hop }): Hop => ({ ...hop, ...(by === undefined ? {} : { by: describe(by, flow, options) }) }),
  );
  const mesh = meshHop(from, to, peers, options, problem);
  const hops = order(from, own, mesh, problem);
  const verdict = overall(hops);
  const other = otherEnd(from, to);
  const form = { ...(proto === undefined ? {} : { proto }), ...(port === undefined ? {} : { port }) };
  const namespace = to.end.container?.namespace ?? '';
  return {
    verdict,
    src: describeEnd(from, options),
    dst: describeEnd(to, options),
    ...form,
    hops,
    ...(verdict === 'blocked' && ruleOpens === true && mesh?.verdict !== 'blocked'
      ? {
          allow: {
            ...(isNamespace(namespace) && namespace !== 'default' ? { namespace } : {}),
            src: flow.src,
            dst: flow.dst,
            ...form,
          },
        }
      : {}),
    elsewhere:
      other === undefined
        ? []
        : [
            {
              hostMgmtIp: hostOf(other, peers),
              command: { type: 'firewall.explain', src: flow.src, dst: flow.dst, ...form },
            },
          ],
    notes: [from, to].flatMap(end => noteOf(end)),
  };
}

function readForm({ proto = '', port }: FirewallExplainRequest) {
  const lower = proto.toLowerCase();
  if (lower !== '' && lower !== 'tcp' && lower !== 'udp')
    throw invalid('proto', 'expected "tcp", "udp" or none');
  if (port !== undefined && !isPort(port)) throw invalid('port', 'expected a port from 1 to 65535');
  if (port !== undefined && lower === '') throw invalid('port', 'needs a proto, tcp or udp');
  return { proto: lower === '' ? undefined : (lower as 'tcp' | 'udp'), port };
}

/** @throws VerbError naming the field of an end that is no container's */
async function placeEnds(
  request: FirewallExplainRequest,
  routes: NetlinkSocket,
  options: ExplainOptions,
  signal: AbortSignal,
): Promise<[PlacedEnd, PlacedEnd]> {
  const [src, dst] = await Promise.all([
    readFlowEnd(request.src, 'src', options, signal),
    readFlowEnd(request.dst, 'dst', options, signal),
  ]);
  const place = (end: FlowEnd) =>
    end.addresses.map((address): PlacedEnd => {
      return { address, position: positionOf(routes, address, wireguardInterface), end };
    });
  const [sources, targets] = await told(async () => [place(src), place(dst)] as const);
  const from = choose('src', request.src, sources, targets);
  const to = choose('dst', request.dst, targets, sources);
  if (from.address === to.address)
    throw invalid('dst', `is ${to.address} as src is: what a container sends to itself meets no rule`);
  const ranges = await options.meshRanges();
  await refuseOutside('src', from, request, ranges, options, signal);
  await refuseOutside('dst', to, request, ranges, options, signal);
  if (from.position.kind !== 'here' && to.position.kind !== 'here')
    throw invalid('dst', 'neither end is a container of this host: ask the hosts that have them');
  return [from, to];
}

/** Of several addresses the one that is on a network with the other end: that is how its packets go. */
function choose(
  field: Field,
  text: string,
  own: readonly PlacedEnd[],
  others: readonly PlacedEnd[],
): PlacedEnd {
  const [first] = own;
  if (first !== undefined && own.length === 1) return first;
  const bridgeOf = ({ position }: PlacedEnd) => (position.kind === 'here' ? position.link.name : undefined);
  const shared = own.filter(
    one => bridgeOf(one) !== undefined && others.some(it => bridgeOf(it) === bridgeOf(one)),
  );
  const [only] = shared;
  if (only !== undefined && shared.length === 1) return only;
  throw several(
    field,
    text,
    own.map(({ address }) => address),
  );
}

async function refuseOutside(
  field: Field,
  { address, position, end }: PlacedEnd,
  { proto = '', port }: FirewallExplainRequest,
  { hosts, elsewhere }: MeshRanges,
  { listed }: ExplainOptions,
  signal: AbortSignal,
): Promise<void> {
  const isIn = (network: string) => covers(network, `${address}/32`);
  if (position.kind === 'own') {
    const containers = field === 'dst' && port !== undefined ? await listed(signal) : [];
    const published = containers.find(({ ports }) =>
      ports.some(
        one => one.hostPort === port && one.protocol === (proto === '' ? 'tcp' : proto.toLowerCase()),
      ),
    );
    if (published !== undefined)
      throw invalid(
        field,
        `${address} is this host's own, and its port ${port} is published by container ${published.name}: every client that reaches the host reaches it, whatever the allow rules say. Ask for the container itself`,
      );
    throw invalid(
      field,
      `${address} is this host's own address (of ${position.device === '' ? 'an interface' : position.device}), and no container's`,
    );
  }
  if (hosts.some(isIn) && end.container === undefined)
    throw invalid(field, `${address} is the address of a host of the mesh, and no container's`);
  if (position.kind === 'elsewhere' && end.container === undefined && !elsewhere.some(isIn))
    throw invalid(field, `${address} is outside of the mesh: ${position.how}`);
}

/** The part of the way between two hosts; undefined: both ends are here. */
function meshHop(
  from: PlacedEnd,
  to: PlacedEnd,
  peers: readonly WireguardPeer[] | undefined,
  { hostsGone }: ExplainOptions,
  problem: string | undefined,
): Hop | undefined {
  const other = otherEnd(from, to);
  if (other === undefined) return undefined;
  if (problem !== undefined) return { hop: 'wireguard', verdict: 'blocked', why: problem };
  const host = other.end.container?.hostMgmtIp;
  const isGone = host !== undefined && hostsGone().includes(host);
  return { hop: 'wireguard', ...judgeWireguard(other.address, peers, isGone) };
}

/** The end that another host has. */
function otherEnd(from: PlacedEnd, to: PlacedEnd): PlacedEnd | undefined {
  if (from.position.kind !== 'here') return from;
  return to.position.kind === 'here' ? undefined : to;
}

/** The parts of the way in its order, those of the other host too. */
function order(
  from: PlacedEnd,
  own: readonly Hop[],
  mesh: Hop | undefined,
  problem: string | undefined,
): Hop[] {
  const elsewhere = (hop: string): Hop => ({ hop, verdict: 'elsewhere', why: 'the other host judges this' });
  if (mesh === undefined)
    return problem === undefined ? [...own] : [...own, { hop: 'forward', verdict: 'blocked', why: problem }];
  return from.position.kind === 'here'
    ? [...own, mesh, elsewhere('destination_forward'), elsewhere('destination_bridge')]
    : [elsewhere('source_bridge'), elsewhere('source_forward'), mesh, ...own];
}

function overall(hops: readonly Hop[]): 'passes' | 'blocked' | 'unknown' {
  const verdicts = hops.map(({ verdict }) => verdict);
  if (verdicts.includes('blocked')) return 'blocked';
  return verdicts.includes('unknown') ? 'unknown' : 'passes';
}

function describe(
  { chain, text, comment, isAllowRule }: Decider,
  flow: { src: string; dst: string; proto: string | undefined; port: number | undefined },
  { rules }: ExplainOptions,
) {
  if (!isAllowRule) return { chain, text, ruleIds: [] };
  const [, marked] = /^cid:([0-9a-f]{12})(?::|$)/.exec(comment) ?? [];
  if (marked !== undefined) return { chain, text, ruleIds: [marked] };
  const { src, dst, proto, port } = flow;
  const ids: string[] = [];
  for (const rule of rules()) {
    if (rule.src !== src || rule.dst !== dst) continue;
    if (rule.proto !== '' && rule.proto !== proto) continue;
    if (rule.port === 0 || rule.port === port) ids.push(rule.id);
  }
  return { chain, text, ruleIds: ids.slice(0, 10) };
}

function describeEnd({ address, position, end }: PlacedEnd, { hostMgmtIp }: ExplainOptions) {
  const here = position.kind === 'here';
  const { name = '', id: containerId = '', namespace = '', hostMgmtIp: host = '' } = end.container ?? {};
  return { address, name, containerId, namespace, hostMgmtIp: here ? hostMgmtIp : host, here };
}

function noteOf({ address, position, end: { container } }: PlacedEnd): string[] {
  if (container === undefined)
    return [
      `no container ${position.kind === 'here' ? 'of this host' : 'of the mesh'} is known to have ${address}`,
    ];
  return container.state === 'running'
    ? []
    : [`container ${container.name} does not run (it is ${container.state})`];
}

/** The host of an end: by its row, or by the peer that has its address. */
function hostOf({ address, end }: PlacedEnd, peers: readonly WireguardPeer[] | undefined): string {
  const known = end.container?.hostMgmtIp ?? '';
  if (known !== '') return known;
  const networks = (peers ?? []).map(({ allowedIps }) =>
    allowedIps.filter(network => /^[\d.]+\/\d+$/.test(network)),
  );
  const ofPeer = networks.find(some => some.some(network => covers(network, `${address}/32`)));
  // Beside its containers' networks a peer has its own address alone.
  return ofPeer?.find(network => network.endsWith('/32'))?.replace('/32', '') ?? '';
}

/** @throws VerbError 503 for what the kernel did not tell */
async function told<T>(work: Promise<T> | (() => Promise<T>)): Promise<T> {
  try {
    return await (typeof work === 'function' ? work() : work);
  } catch (cause) {
    if (cause instanceof VerbError) throw cause;
    const why = errorMessage(cause);
    const again = cause instanceof UnsteadyError ? '; ask again' : '';
    throw new VerbError('firewall_failed', `the packet filter cannot be read: ${why}${again}`, { cause });
  }
}
