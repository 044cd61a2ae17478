import { guardTable, renderGuard } from '../deny/guard.ts';
import { renderNft, type Scaffold } from '../deny/scaffold.ts';
import { createTableReader, type TableText } from '../deny/table-text.ts';
import { runTool } from '../planes/iptables.ts';
import { bridgeTable } from '../rule/nft-rule.ts';

/** The guard's table and the bridged plane's table. */
export interface ScaffoldTables {
  guard: TableText | undefined;
  bridge: TableText | undefined;
}

/** The name of temporary tables. They are dormant, so the kernel passes no packet to them. */
const referenceName = 'coolify_reference';
const references = [
  { table: guardTable, reference: `inet ${referenceName}` },
  { table: `bridge ${bridgeTable}`, reference: `bridge ${referenceName}` },
] as const;

/** The desired nftables tables, as input for `nft -f`. */
export interface TableTexts {
  guard: string;
  bridge: string;
}

/** What this kernel can do with bridged packets. */
export interface BridgeAbilities {
  /** Track connections. */
  conntrack: boolean;
  /** Tell one bridge from another. */
  names: boolean;
}

/** @param apiGuard what fills the guard's sets of coold's own ports */
export function renderTables(
  scaffold: Scaffold,
  { conntrack, names }: BridgeAbilities,
  apiGuard: string,
): TableTexts {
  // Bridges change with Podman's networks, so they are compared separately.
  const bridge = renderNft(scaffold, conntrack, names ? [] : undefined);
  return { guard: renderGuard(scaffold, []) + apiGuard, bridge };
}

/**
 * Returns how this host's nft prints the desired tables. nft rewords rules when it lists them, differently in each
 * version, so the same texts are loaded into dormant tables, listed, and removed.
 *
 * @throws Error when nft fails
 */
export async function readReference({ guard, bridge }: TableTexts): Promise<ScaffoldTables> {
  const asleep = (text: string, { table, reference }: (typeof references)[number]) => {
    const rest = text.replace(`add table ${table}\n`, '').replaceAll(table, reference);
    const begin = `add table ${reference} { flags dormant; }\n`;
    return `${begin}delete table ${reference}\n${begin}${rest}`;
  };
  const [ofGuard, ofBridge] = references;
  await runTool('nft', ['-f', '-'], asleep(guard, ofGuard) + asleep(bridge, ofBridge));
  try {
    const [listedGuard, listedBridge] = await Promise.all([listReference(ofGuard), listReference(ofBridge)]);
    return { guard: listedGuard, bridge: listedBridge };
  } finally {
    await sweepReference();
  }
}

async function listReference({ reference }: (typeof references)[number]): Promise<TableText> {
  const reader = createTableReader();
  await runTool('nft', ['list', 'table', ...reference.split(' ')], '', reader.take);
  const listed = reader.tables.get(reference);
  if (listed === undefined) throw new Error(`nft list table ${reference} listed nothing`);
  return { head: listed.head.filter(line => line !== 'flags dormant'), parts: listed.parts };
}

/** Removes such tables, also those left by a process that was killed. @throws Error when nft fails */
export async function sweepReference(): Promise<void> {
  // Adding first makes deleting safe.
  const lines = references.flatMap(({ reference }) => [
    `add table ${reference} { flags dormant; }\n`,
    `delete table ${reference}\n`,
  ]);
  await runTool('nft', ['-f', '-'], lines.join(''));
}
