import { applyScaffold } from './apply-scaffold.ts';
import { nothing, renderIptables, renderNft } from './scaffold.ts';
import type { ScaffoldConfig } from './scaffold-command.ts';

/** `coold scaffold`: prints both planes as a kernel without anything would be given them, or applies. */
export async function runScaffold({ apply, ...scaffold }: ScaffoldConfig): Promise<number> {
  if (!apply) {
    process.stdout.write(
      [
        '# Routed plane: iptables-restore --noflush',
        renderIptables(scaffold, nothing),
        '# Bridged plane: nft -f -',
        renderNft(scaffold, true),
      ].join('\n'),
    );
    return 0;
  }
  const { iptablesChanged, bridgeConntrack } = await applyScaffold(scaffold);
  const say = (line: string) => process.stderr.write(`coold scaffold: ${line}\n`);
  say(`in place for ${scaffold.subnets.join(', ')}${iptablesChanged ? '' : ' (iptables had it already)'}`);
  if (!bridgeConntrack)
    say(
      'warning: this kernel does not track bridged connections (nf_conntrack_bridge); within a bridge, TCP segments that ' +
        'open nothing, ICMP answers and UDP replies within 30 s pass instead of established connections',
    );
  return 0;
}
