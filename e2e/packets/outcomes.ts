import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileAtomically } from '@coold/runtime';
import type { HostSystem } from '../harness/provider.ts';
import { type GroundResult, renderPage } from './page.ts';
import type { Row } from './row.ts';
import type { IptablesVariant } from './scene.ts';
import { packetTable } from './table.ts';
import { worlds } from './world.ts';

/** The kinds of hosts in the page. */
export const grounds: readonly { system: HostSystem; variant: IptablesVariant; name: string }[] = [
  { system: 'debian-12', variant: 'nft', name: 'Debian 12, iptables-nft' },
  { system: 'debian-12', variant: 'legacy', name: 'Debian 12, iptables-legacy' },
  { system: 'debian-13', variant: 'nft', name: 'Debian 13, iptables-nft' },
  { system: 'debian-13', variant: 'legacy', name: 'Debian 13, iptables-legacy' },
];
export type PacketGround = (typeof grounds)[number];

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'dist/packets');
const pagePath = join(root, 'docs/packets.md');

/** Stores the results of one kind of host, and writes the page once this table has results for every kind. */
export async function keepOutcomes(ground: PacketGround, outcomes: GroundResult['outcomes']): Promise<void> {
  await mkdir(folder, { recursive: true });
  const kept = { table: fingerprint(packetTable()), outcomes };
  await writeFileAtomically(fileOf(ground), JSON.stringify(kept), 0o644);
  const results = await Promise.all(grounds.map(readKept));
  const complete = results.filter(result => result !== undefined);
  if (complete.length === grounds.length)
    await writeFileAtomically(pagePath, renderPage(packetTable(), worlds, complete), 0o644);
}

async function readKept(ground: PacketGround): Promise<GroundResult | undefined> {
  try {
    const { table, outcomes } = JSON.parse(await readFile(fileOf(ground), 'utf8')) as {
      table: string;
      outcomes: GroundResult['outcomes'];
    };
    return table === fingerprint(packetTable()) ? { name: ground.name, outcomes } : undefined;
  } catch {
    return undefined; // not measured in this checkout yet
  }
}

const fileOf = ({ system, variant }: PacketGround) => join(folder, `${system}-${variant}.json`);

function fingerprint(table: readonly Row[]): string {
  const names = worlds.map(({ name }) => name);
  return createHash('sha256')
    .update(JSON.stringify([table, names]))
    .digest('hex');
}
