import { type Finding, ok, readRegularFile, runChild, warn } from '@coold/runtime';
import { isDnsLine } from '../firewall/deny/scaffold.ts';
import { listIptables } from '../firewall/planes/iptables.ts';
import { listChains, type OtherChain, otherChainRemedy } from '../firewall/scaffold/other-filters.ts';
import { needRoot } from './host.ts';

/** Other programs' parts of this host's packet filter. */
export interface OtherFirewalls {
  /** `iptables -S` of the two chains. */
  input: readonly string[];
  forward: readonly string[];
  /** nftables base chains that belong to neither iptables, netavark nor coold. */
  chains: readonly (OtherChain & { hook: 'input' | 'forward' })[];
  /** Enabled units of other firewalls. */
  units: readonly string[];
  /** The rules that iptables-persistent loads at boot. */
  saved: string;
}

const watchedUnits = [
  ...[
    'docker.service',
    'ufw.service',
    'firewalld.service',
    'netfilter-persistent.service',
    'nftables.service',
  ],
];

/** @param gateway a gateway that answers DNS; undefined while unknown. Pure. */
export function judgeOtherFirewalls(found: OtherFirewalls, gateway: string | undefined): Finding[] {
  const { input, forward, chains, units, saved } = found;
  const findings: Finding[] = [];
  if ([...input, ...forward].some(line => line.includes('-j DOCKER') || line.startsWith('-N DOCKER')))
    findings.push(ok('Docker has rules here, too; coold works beside them'));
  if (input.some(line => line.includes(' -j ufw-')))
    findings.push(
      input.some(isDnsLine)
        ? ok('ufw is active; coold works beside it')
        : warn(
            'ufw is active and may drop DNS of containers',
            `ufw allow to ${gateway ?? 'GATEWAY'} port 53`,
          ),
    );
  for (const chain of chains) {
    const { family, table, name, hook } = chain;
    findings.push(
      warn(
        table === 'firewalld'
          ? `firewalld judges what is ${hook === 'input' ? 'sent to this host' : 'forwarded'}, too`
          : `chain ${name} of table ${family} ${table} judges what is ${hook === 'input' ? 'sent to this host' : 'forwarded'}, too`,
        otherChainRemedy(chain, hook, gateway ?? 'the gateways of the networks'),
      ),
    );
  }
  if (saved.includes('COOLIFY-'))
    findings.push(
      warn(
        'iptables-persistent has saved rules of coold, which it puts in at boot although they may be old',
        "take the lines with COOLIFY out of /etc/iptables/rules.v4; coold's own units restore them",
      ),
    );
  if (units.includes('nftables.service'))
    findings.push(
      ok(
        'nftables.service is enabled: its reload empties the packet filter, and coold puts the default deny back',
      ),
    );
  const others = units.filter(unit => unit !== 'nftables.service');
  if (findings.length === 0)
    findings.push(
      ok(others.length === 0 ? 'none' : `enabled, and without rules at the moment: ${others.join(', ')}`),
    );
  return findings;
}

/** @throws Error when not root, or when a tool cannot be run */
export async function readOtherFirewalls(signal: AbortSignal): Promise<OtherFirewalls> {
  needRoot();
  const [input, forward, ofInput, ofForward, units, saved] = await Promise.all([
    listIptables('filter', 'INPUT'),
    listIptables('filter', 'FORWARD'),
    listChains('input'),
    listChains('forward'),
    enabledUnits(signal),
    readRegularFile('/etc/iptables/rules.v4', { maxBytes: 64 * 1024 * 1024 }).catch(() => ''),
  ]);
  const hooked = (hook: 'input' | 'forward') => (chain: OtherChain) => ({ ...chain, hook });
  const chains = [...ofInput.map(hooked('input')), ...ofForward.map(hooked('forward'))];
  return { input, forward, chains, units, saved };
}

const systemctlMs = 5000;

/** Returns none where systemd does not run. */
async function enabledUnits(signal: AbortSignal): Promise<string[]> {
  const args = ['is-enabled', '--', ...watchedUnits];
  // Prints a line for each unit in order, including units that do not exist.
  const { stdout } = await runChild('systemctl', args, { timeoutMs: systemctlMs, signal });
  const states = stdout.trimEnd().split('\n');
  return states.length === watchedUnits.length
    ? watchedUnits.filter((_, index) => states[index] === 'enabled')
    : [];
}
