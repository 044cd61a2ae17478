import { cablePrefix } from './cable.ts';

const comment = 'builds: judged by nft table inet coolify_build';
const ours = ['-m', 'comment', '--comment', comment, '-j', 'ACCEPT'];

/**
 * Accepting rules at the end of iptables' built-in chains, for hosts whose chains have the policy DROP (Docker and ufw set
 * it). They open nothing: the nft table coolify_build also filters every packet of a build, and its refusals are final.
 */
const rules: readonly { chain: 'FORWARD' | 'INPUT'; match: readonly string[] }[] = [
  { chain: 'FORWARD', match: ['-i', `${cablePrefix}+`] },
  {
    chain: 'FORWARD',
    match: ['-o', `${cablePrefix}+`, '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED'],
  },
  { chain: 'INPUT', match: ['-i', `${cablePrefix}+`] },
];

/** Returns the lines of `iptables -S` that are these rules. */
export function buildAcceptLines(listing: readonly string[]): string[] {
  return listing.filter(line => line.includes(`"${comment}"`));
}

/** The changes that make iptables accept packets of builds. */
export interface Acceptance {
  /** Missing rules, each as arguments of iptables. */
  missing: string[][];
  /** Rules before ours that drop or reject every packet. Builds then have no network, and only the operator can change that. */
  blocking: string[];
}

/** Compares the rules of this host with those that builds need. @param listing the lines of `iptables -S` for FORWARD and INPUT */
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
