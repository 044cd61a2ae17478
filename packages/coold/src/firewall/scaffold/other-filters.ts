import { guardName } from '../deny/guard.ts';
import { egressIn, isDnsLine } from '../deny/scaffold.ts';
import { listIptables, runTool } from '../planes/iptables.ts';
import { listObjects } from '../planes/nft-plane.ts';
import { hasHooks } from './hooks.ts';

/** An nftables base chain that packets pass besides ours and those of iptables. */
export interface OtherChain {
  family: string;
  table: string;
  name: string;
}

/**
 * Explains what may keep DNS questions from this host's own addresses, and what the operator can do. Never rejects,
 * since it only helps to explain.
 */
export async function explainInput(gateway: string): Promise<string> {
  const [input, chains] = await Promise.all([
    listIptables('filter', 'INPUT').catch(() => []),
    listChains('input').catch(() => []),
  ]);
  return describeInput(gateway, input, chains);
}

/** The same, from what was read. Pure. @param input `iptables -S INPUT` */
export function describeInput(
  gateway: string,
  input: readonly string[],
  chains: readonly OtherChain[],
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
  for (const chain of chains) found.push(otherChainRemedy(chain, 'input', gateway));
  return found.length === 0
    ? "something in this host's packet filter drops them"
    : `this host's packet filter drops them; the cause may be ${found.join('; ')}`;
}

/** Who may drop what is forwarded and allowed, and what the operator can do. Never rejects: it only helps to explain. */
export async function explainForward(): Promise<string> {
  const [forward, chains] = await Promise.all([
    listIptables('filter', 'FORWARD').catch(() => []),
    listChains('forward').catch(() => []),
  ]);
  return describeForward(forward, chains);
}

/** The same from what there is. Pure. @param forward `iptables -S FORWARD` */
export function describeForward(forward: readonly string[], chains: readonly OtherChain[]): string {
  const found: string[] = [];
  if (!hasHooks(forward) || egressIn(forward).length === 0)
    found.push('the rules that let it pass are gone from FORWARD: `systemctl restart coolify-mesh-fw`');
  for (const chain of chains) found.push(otherChainRemedy(chain, 'forward', ''));
  return found.length === 0
    ? "something in this host's packet filter drops the rest"
    : `this host's packet filter drops the rest; the cause may be ${found.join('; ')}`;
}

/** What a chain of another program may be in the way of, or what opens it. @param gateway of a network with DNS. Pure. */
export function otherChainRemedy(
  { family, table, name }: OtherChain,
  hook: 'input' | 'forward',
  gateway: string,
): string {
  switch (hook) {
    case 'input':
      return table === 'firewalld'
        ? "firewalld: `firewall-cmd --permanent --zone=trusted --add-source=…` for the network's subnet, and `--reload`"
        : `nftables: chain ${name} of table ${family} ${table} may drop udp and tcp port 53 to ${gateway}`;
    case 'forward':
      return table === 'firewalld'
        ? 'firewalld: `firewall-cmd --permanent --zone=trusted --add-interface=wg0` and `--reload`'
        : `nftables: chain ${name} of table ${family} ${table} may drop what is forwarded to or from containers`;
  }
}

/** The base chains of others at a hook of nftables. @throws Error when nft fails */
export async function listChains(wanted: 'input' | 'forward'): Promise<OtherChain[]> {
  const families = ['ip', 'inet'];
  const listed = await Promise.all(families.map(family => listObjects(runTool, 'chain', ['chains', family])));
  return listed.flat().flatMap(({ family, table, name, hook }) =>
    hook === wanted &&
    typeof family === 'string' &&
    typeof table === 'string' &&
    typeof name === 'string' &&
    table !== guardName &&
    table !== 'netavark' &&
    !(family === 'ip' && name === wanted.toUpperCase()) // iptables' own
      ? [{ family, table, name }]
      : [],
  );
}
