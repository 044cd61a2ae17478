import { guardName } from './guard.ts';
import { listIptables, runTool } from './iptables.ts';
import { listObjects } from './nft-plane.ts';
import { isDnsLine } from './scaffold.ts';

/** A base chain of nftables that what comes in for this host passes. */
export interface InputChain {
  family: string;
  table: string;
  name: string;
}

/** Who may keep DNS from this host's own addresses, and what its operator can do. Never rejects: it only helps to explain. */
export async function explainInput(gateway: string): Promise<string> {
  const [input, chains] = await Promise.all([
    listIptables('filter', 'INPUT').catch(() => []),
    listInputChains().catch(() => []),
  ]);
  return describeInput(gateway, input, chains);
}

/** The same from what there is. Pure. @param input `iptables -S INPUT` */
export function describeInput(
  gateway: string,
  input: readonly string[],
  chains: readonly InputChain[],
): string {
  const found: string[] = [];
  const above = input.findIndex(isDnsLine);
  const hasUfw = input.some(line => line.includes(' -j ufw-'));
  if (above === -1)
    found.push('the rules that let DNS in are gone from INPUT: `systemctl restart coolify-mesh-fw`');
  if (hasUfw && above === -1) found.push(`ufw: \`ufw allow to ${gateway} port 53\``);
  const drops = input
    .slice(1, above === -1 ? undefined : above)
    .filter(line => / -j (DROP|REJECT)/.test(line));
  if (drops.length > 0) found.push(`iptables INPUT: ${drops.slice(0, 3).join('; ')}`);
  for (const { family, table, name } of chains)
    found.push(
      table === 'firewalld'
        ? "firewalld: `firewall-cmd --permanent --zone=trusted --add-source=…` for the network's subnet, and `--reload`"
        : `nftables: chain ${name} of table ${family} ${table} may drop udp and tcp port 53 to ${gateway}`,
    );
  return found.length === 0
    ? "something in this host's packet filter drops them"
    : `this host's packet filter drops them; in the way may be ${found.join('; ')}`;
}

async function listInputChains(): Promise<InputChain[]> {
  const families = ['ip', 'inet'];
  const listed = await Promise.all(families.map(family => listObjects(runTool, 'chain', ['chains', family])));
  return listed.flat().flatMap(({ family, table, name, hook }) =>
    hook === 'input' &&
    typeof family === 'string' &&
    typeof table === 'string' &&
    typeof name === 'string' &&
    table !== guardName &&
    table !== 'netavark' &&
    !(family === 'ip' && name === 'INPUT') // iptables' own
      ? [{ family, table, name }]
      : [],
  );
}
