import { renderGuard } from '../deny/guard.ts';
import { nothing, renderIptables, renderNft } from '../deny/scaffold.ts';
import { type Applied, applyScaffold } from './apply-scaffold.ts';
import { type JoinedFile, readJoined } from './joined-file.ts';
import { hostAddresses, readMeshBridges, readMeshLinks } from './mesh-links.ts';
import type { ScaffoldConfig } from './scaffold-command.ts';
import { strayAddresses } from './scaffold-differences.ts';

type Configured = Omit<ScaffoldConfig, 'apply'>;

/**
 * `coold scaffold`: prints guard and planes as an empty kernel would get them, or applies them.
 *
 * @returns 1 when the file of joined subnets is damaged; what can be read of it is denied nevertheless
 */
export async function runScaffold({ apply, ...configured }: ScaffoldConfig): Promise<number> {
  const say = (line: string) => process.stderr.write(`coold scaffold: ${line}\n`);
  if (!apply) {
    const { joinedPath, ...scaffold } = configured;
    const { subnets: joined, problem } = await readJoined(joinedPath);
    const links = await readMeshLinks([...scaffold.subnets, ...joined]);
    process.stdout.write(
      [
        '# Guard of both: nft -f -',
        renderGuard({ ...scaffold, joined }, links),
        '# Routed plane: iptables-restore --noflush',
        renderIptables({ ...scaffold, joined }, nothing),
        '# Bridged plane: nft -f -',
        renderNft({ ...scaffold, joined }, true, await readMeshBridges([...scaffold.subnets, ...joined])),
      ].join('\n'),
    );
    if (problem !== undefined) say(problem);
    return problem === undefined ? 0 : 1;
  }
  const { joined, iptablesChanged, bridgeConntrack } = await applyWithJoined(configured);
  const subnets = [...configured.subnets, ...joined.subnets];
  say(`in place for ${subnets.join(', ')}${iptablesChanged ? '' : ' (iptables had it already)'}`);
  if (!bridgeConntrack)
    say(
      'warning: this kernel does not track bridged connections (nf_conntrack_bridge); within a bridge, TCP segments that ' +
        'open nothing, ICMP answers and UDP replies within 30 s pass instead of established connections',
    );
  const links = await readMeshLinks(subnets);
  for (const stray of strayAddresses(configured, links, hostAddresses())) say(`warning: ${stray}`);
  if (joined.problem !== undefined) say(joined.problem);
  return joined.problem === undefined ? 0 : 1;
}

const maxRounds = 5;

/** coold may write the file and change the kernel during this work; then what it wrote is installed too. */
async function applyWithJoined({
  joinedPath,
  ...scaffold
}: Configured): Promise<Applied & { joined: JoinedFile }> {
  let joined = await readable(joinedPath);
  for (let round = 1; ; round += 1) {
    const applied = await applyScaffold({ ...scaffold, joined: joined.subnets });
    const now = await readable(joinedPath);
    if (now.subnets.join() === joined.subnets.join() || round === maxRounds) return { ...applied, joined };
    joined = now;
  }
}

/** An unreadable disk must not leave the configured subnets open. */
async function readable(path: string): Promise<JoinedFile> {
  return await readJoined(path).catch((error: Error) => ({ subnets: [], problem: error.message }));
}
