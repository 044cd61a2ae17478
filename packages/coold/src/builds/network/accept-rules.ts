import { cablePrefix } from './cable.ts';

const comment = 'builds: judged by nft table inet coolify_build';
const ours = ['-m', 'comment', '--comment', comment, '-j', 'ACCEPT'];

/**
 * Rules for the end of iptables' own chains, for hosts on which those drop what nothing accepts (Docker and ufw set that
 * policy). They open nothing: our nft table judges every packet of a build too, and what it refuses stays refused.
 */
const rules: readonly { chain: 'FORWARD' | 'INPUT'; match: readonly string[] }[] = [
  { chain: 'FORWARD', match: ['-i', `${cablePrefix}+`] },
  {
    chain: 'FORWARD',
    match: ['-o', `${cablePrefix}+`, '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED'],
  },
  { chain: 'INPUT', match: ['-i', `${cablePrefix}+`] },
];

/** What has to be done so that iptables lets builds out. */
export interface Acceptance {
  /** Arguments of iptables, one rule each. */
  missing: string[][];
  /** Rules that end every packet before ours are reached: builds cannot get out, and only the operator can mend that. */
  blocking: string[];
}

/** @param listing lines of `iptables -S` of FORWARD and INPUT */
export function planAcceptance(listing: readonly string[]): Acceptance {
  const missing = rules
    .filter(
      ({ chain, match }) =>
        !listing.some(
          line =>
            line.startsWith(`-A ${chain} ${match.slice(0, 2).join(' ')} `) && line.includes(`"${comment}"`),
        ),
    )
    .map(({ chain, match }) => ['-A', chain, ...match, ...ours]);
  const blocking = ['FORWARD', 'INPUT'].flatMap(chain => {
    const lines = listing.filter(line => line.startsWith(`-A ${chain} `));
    const end = lines.findIndex(line => line.includes(`"${comment}"`));
    const before = end === -1 ? lines : lines.slice(0, end);
    return before.filter(line => /^-A \w+ -j (?:DROP|REJECT)\b/.test(line));
  });
  return { missing, blocking };
}
