import { errorMessage, readRegularFile } from '@coold/runtime';
import { localSubnets } from '../deny/guard.ts';
import { establishedRule, hookRule, hooksIn, intraChain, tableText } from '../deny/scaffold.ts';
import type { TableText } from '../deny/table-text.ts';
import { type Cidr, cidr, covers } from '../rule/cidr.ts';
import { bridgeChain, bridgeTable } from '../rule/nft-rule.ts';
import { hasHooks } from './hooks.ts';
import type { Deviation, PresentScaffold } from './scaffold-deviations.ts';

/** The default deny that `coolify init` has set up on this host, as far as coold understands it (docs/contract.md §4). */
export interface ForeignScaffold {
  /** This host's container subnets. */
  subnets: readonly Cidr[];
  /** The bridged plane's chains as input for `nft -f`, which the CLI's unit installs. */
  bridge: string;
}

/** The file that holds them, beside mesh.env. It exists while the CLI wants a default deny. */
export const foreignFileName = 'bridge-fw.nft';

/** The allow chain that the CLI's unit creates. */
const allowChain = 'COOLIFY-ALLOW';
const table = `bridge ${bridgeTable}`;

/** @returns undefined when the file does not exist @throws Error when it cannot be read or is not in the CLI's form */
export async function readForeignScaffold(path: string): Promise<ForeignScaffold | undefined> {
  try {
    return parseForeignScaffold(await readRegularFile(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`${path}: ${errorMessage(error)}`);
  }
}

const line = /^(add|flush) (table|chain|rule) bridge coolify_bridge( (forward|coolify_intra)( .*)?)?$/;
const denied = /^add rule bridge coolify_bridge forward ip daddr \{ ([\d./, ]+) \} jump coolify_intra$/m;

/** Pure. @throws Error naming what is not understood */
export function parseForeignScaffold(text: string): ForeignScaffold {
  const lines = text.split('\n').filter(given => given !== '' && !given.startsWith('#'));
  const strange = lines.find(given => !line.test(given));
  if (strange !== undefined)
    throw new Error(`${JSON.stringify(strange)}: expected a line about the chains of table ${table}`);
  const subnets = (denied.exec(text)?.[1] ?? '').split(',').map(one => one.trim());
  const [bad] = subnets.filter(subnet => cidr.parse(subnet) === undefined);
  if (bad !== undefined) throw new Error(`${JSON.stringify(bad)}: expected ${cidr.expected}`);
  return { subnets, bridge: lines.map(given => `${given}\n`).join('') };
}

const content = [`-j ${allowChain}`, '-j DROP'].map(rule => `-A ${intraChain} ${rule}`);

/** Returns what the kernel lacks of it or has differently; empty when it is in place. Pure. */
export function foreignDeviations(
  { subnets }: ForeignScaffold,
  { iptables: { filter }, tables: { bridge } }: PresentScaffold,
): Deviation[] {
  const intra = filter.filter(given => given.startsWith(`-A ${intraChain} `));
  const unhooked = subnets.filter(subnet => !filter.includes(`-A FORWARD ${hookRule(subnet, 'configured')}`));
  const forward = bridge?.parts.get('chain forward') ?? [];
  const isDenied = ['saddr', 'daddr'].every(side =>
    forward.some(given => given.startsWith(`ip ${side} `) && given.endsWith(' jump coolify_intra')),
  );
  // Some versions of nft print a word for priority -200 in the bridge family.
  const isHooked = forward.some(given =>
    /^type filter hook forward priority (filter|-200); policy accept;$/.test(given),
  );
  const ends = (bridge?.parts.get('chain coolify_intra') ?? []).join('\n') === 'jump coolify_allow\ndrop';
  const say = (isMissing: boolean, text: string, isOfTables: boolean) =>
    isMissing ? [{ text, isSure: true, isOfTables }] : [];
  const way = `the way from FORWARD to ${intraChain} in iptables for ${unhooked.join(', ')}`;
  const isWhole = isDenied && isHooked && ends;
  const opening = openingRules(forward);
  return [
    ...say(intra.join('\n') !== content.join('\n'), `rules of chain ${intraChain} in iptables`, false),
    ...say(unhooked.length > 0, way, false),
    ...say(bridge === undefined, `table ${table} of nftables`, true),
    ...say(bridge !== undefined && !isWhole, `rules of table ${table} of nftables`, true),
    ...say(isWhole && opening.length > 0, openingText(opening), true),
  ];
}

/**
 * Rules that let packets pass before they are denied, as nft prints the CLI's own file. The last one is for kernels
 * that do not track bridged connections.
 */
const expectedRules = [
  /^(meta protocol|ether type) != ip accept$/,
  /^ct state (established,related|related,established) accept$/,
  /^tcp flags \S.*\bsyn\b.* accept$/,
];

/** Returns rules before the end of the deny that another program added and that let packets pass it. */
function openingRules(forward: readonly string[]): string[] {
  const end = forward.findLastIndex(given => given.endsWith(' jump coolify_intra'));
  return forward
    .slice(0, Math.max(end, 0))
    .filter(
      given =>
        /\b(accept|return|queue|goto \S+|jump \S+)( comment ".*")?$/.test(given) &&
        !/ jump coolify_intra$/.test(given) &&
        !expectedRules.some(rule => rule.test(given)),
    );
}

function openingText(opening: readonly string[]): string {
  const shown = opening.slice(0, 3).map(given => given.slice(0, 100));
  return `a deny of table ${table} of nftables without exceptions: there ${opening.length === 1 ? 'is' : 'are'} ${shown.join(', ')}`;
}

/**
 * Returns the hooks in FORWARD that our scaffold has left, as rules: after `install.sh --release` nothing names its
 * pools any more. The CLI's own hooks name its subnets, each with one for what containers send; removing our hooks
 * opens none of these. Pure.
 */
export function leftHooks({ subnets }: ForeignScaffold, filter: readonly string[]): string[] {
  return hooksIn(filter)
    .filter(
      ({ network }) =>
        !subnets.includes(network) &&
        subnets.some(subnet => covers(network, subnet)) &&
        !filter.includes(`-A FORWARD -s ${network} -j ${intraChain}`),
    )
    .map(({ network, kind }) => hookRule(network, kind));
}

/**
 * Whether the CLI was told to deny nothing: in place of its hooks, rules accept everything to and from each subnet that
 * the guard denies. Pure.
 *
 * @param guard undefined when there is no guard
 */
export function isSwitchedOff(forward: readonly string[], guard: TableText | undefined): boolean {
  const denied = (guard?.parts.get(`set ${localSubnets}`) ?? []).filter(given => /^[\d./]+$/.test(given));
  const isOpen = (subnet: string) =>
    ['-s', '-d'].every(side => forward.includes(`-A FORWARD ${side} ${subnet} -j ACCEPT`));
  return !hasHooks(forward) && denied.length > 0 && denied.every(isOpen);
}

/** Returns input for `iptables-restore --noflush` that installs the routed plane's part. Allow rules stay. Pure. */
export function renderForeignIptables({ subnets }: ForeignScaffold, filter: readonly string[]): string {
  const hooks = subnets.flatMap(subnet => [
    `-A FORWARD ${hookRule(subnet, 'configured')}`,
    `-A FORWARD -s ${subnet} -j ${intraChain}`,
  ]);
  const answers = `-A FORWARD ${establishedRule}`;
  return tableText('filter', [
    `:${intraChain} - [0:0]`,
    ...(filter.includes(`-N ${allowChain}`) ? [] : [`-N ${allowChain}`]),
    ...content,
    ...(filter.includes(answers) ? [] : [answers.replace('-A FORWARD', '-I FORWARD 1')]),
    ...hooks.filter(given => !filter.includes(given)),
  ])
    .map(given => `${given}\n`)
    .join('');
}

/** Returns input for `nft -f` that installs the bridged plane's part. Allow rules stay. Pure. */
export function renderForeignBridge({ bridge }: ForeignScaffold): string {
  return `add table ${table}\nadd chain ${table} ${bridgeChain}\n${bridge}`;
}
