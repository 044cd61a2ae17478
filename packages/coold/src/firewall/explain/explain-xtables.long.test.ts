// Rules of iptables, of either variant, one case at a time: what is said of a flow, beside a real packet. What is not known of a
// packet, or not understood of a rule, may only make the verdict `unknown`. Needs root.
import { fileURLToPath } from 'node:url';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at, createScaffoldLab, dropMs, type Lab, passMs } from '../../../test/scaffold-lab.ts';
import type { ExplainedFlow } from './explain-flow.ts';

const child = fileURLToPath(new URL('../../../test/explaining-child.ts', import.meta.url));

type Verdict = 'passes' | 'blocked' | 'unknown';

/** The arguments of iptables, in the order that they are given to it, and what is said then. */
type Case = readonly [says: Verdict, ...rules: string[]];

const first = '-I FORWARD';
/** So many chains, each leading to the next; the last one drops. */
function nested(depth: number): string[] {
  const chains = Array.from({ length: depth }, (_, index) => `N${index}`);
  return [
    ...chains.map(chain => `-N ${chain}`),
    ...chains.map((chain, index) => `-A ${chain} -j ${chains[index + 1] ?? 'DROP'}`),
    `${first} -j N0`,
  ];
}

const cases: readonly Case[] = [
  // Addresses.
  ['blocked', `${first} -s 10.210.0.0/25 -j DROP`],
  ['passes', `${first} ! -s 10.210.0.0/25 -j DROP`],
  ['blocked', `${first} ! -s 10.210.1.0/24 -j DROP`],
  ['passes', `${first} ! -d ${at.b1} -j DROP`],
  ['blocked', `${first} -s 10.0.0.2/255.0.0.255 -j DROP`],
  ['passes', `${first} -s 10.0.0.3/255.0.0.255 -j DROP`],
  ['passes', `${first} ! -s 10.0.0.2/255.0.0.255 -j DROP`],
  // Interfaces.
  ['blocked', `${first} -i br-+ -j DROP`],
  ['passes', `${first} ! -i br-+ -j DROP`],
  ['passes', `${first} -i br- -j DROP`],
  ['blocked', `${first} ! -i br-b -j DROP`],
  ['passes', `${first} ! -i br-a -j DROP`],
  ['blocked', `${first} -i + -o br-b -j DROP`],
  ['passes', `${first} ! -o br-b+ -j DROP`],
  ['blocked', '-t mangle -A POSTROUTING -o br-b -j DROP'],
  ['blocked', '-t mangle -A PREROUTING -i br-a -j DROP'],
  // Protocols and ports.
  ['passes', `${first} ! -p tcp -j DROP`],
  ['blocked', `${first} ! -p udp -j DROP`],
  ['passes', `${first} -p udp --dport 80 -j DROP`],
  ['blocked', `${first} -p tcp --dport 70:90 -j DROP`],
  ['passes', `${first} -p tcp ! --dport 70:90 -j DROP`],
  ['unknown', `${first} -p tcp --sport 1024: -j DROP`],
  ['blocked', `${first} -p tcp --syn -j DROP`],
  ['passes', `${first} -p tcp ! --syn -j DROP`],
  ['passes', `${first} -p tcp --tcp-flags ALL ACK -j DROP`],
  ['unknown', `${first} -p tcp --tcp-option 2 -j DROP`],
  ['blocked', `${first} -p tcp -m multiport --dports 22,80,443 -j DROP`],
  ['passes', `${first} -p tcp -m multiport ! --dports 22,80,443 -j DROP`],
  ['blocked', `${first} -p tcp -m multiport --dports 22,70:90 -j DROP`],
  ['blocked', `${first} -p tcp -m multiport ! --dports 22,81:90 -j DROP`],
  ['blocked', `${first} -p tcp -m multiport --ports 22,80 -j DROP`],
  ['unknown', `${first} -p tcp -m multiport --sports 1024:65535 -j DROP`],
  ['passes', `${first} -f -j DROP`],
  ['blocked', `${first} ! -f -j DROP`],
  // Connections and marks.
  ['blocked', `${first} -m conntrack --ctstate NEW -j DROP`],
  ['passes', `${first} -m conntrack ! --ctstate NEW -j DROP`],
  ['blocked', `${first} -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP`],
  ['passes', `${first} -m conntrack --ctstate INVALID,UNTRACKED -j DROP`],
  ['blocked', `${first} -m state --state NEW -j DROP`],
  ['unknown', `${first} -m conntrack --ctstate NEW --ctstatus NONE -j DROP`],
  ['blocked', '-t mangle -A PREROUTING -j MARK --set-mark 5', `${first} -m mark --mark 5 -j DROP`],
  ['passes', '-t mangle -A PREROUTING -j MARK --set-mark 5', `${first} -m mark ! --mark 5 -j DROP`],
  ['blocked', '-t mangle -A PREROUTING -j MARK --or-mark 6', `${first} -m mark --mark 2/2 -j DROP`],
  ['unknown', '-t mangle -A PREROUTING -j CONNMARK --restore-mark', `${first} -m mark --mark 5 -j DROP`],
  // What is there of the two addresses.
  ['passes', `${first} -m addrtype --dst-type LOCAL -j DROP`],
  ['blocked', `${first} -m addrtype ! --dst-type LOCAL -j DROP`],
  ['unknown', `${first} -m addrtype --dst-type UNICAST --limit-iface-out -j DROP`],
  // Chains.
  ['passes', '-N R', `-A R -s ${at.a1} -j RETURN`, '-A R -j DROP', `${first} -j R`],
  ['blocked', '-N R', `-A R -s ${at.a2} -j RETURN`, '-A R -j DROP', `${first} -j R`],
  ['blocked', '-N G', '-A G -j RETURN', '-P FORWARD DROP', `${first} -g G`],
  ['passes', '-N G', '-A G -j RETURN', '-P FORWARD DROP', `${first} -j G`],
  ['blocked', '-N G', '-N H', '-A H -g G', '-A H -j ACCEPT', `${first} -j DROP`, `${first} -j H`],
  ['passes', '-N EMPTY', `${first} -j EMPTY`, `${first}`, `${first} -p tcp`],
  ['blocked', ...nested(12)],
  // What only tells, and what is another packet afterwards.
  ['passes', `${first} -j LOG`],
  ['passes', '-t nat -A POSTROUTING -o br-b -j MASQUERADE'],
  ['unknown', '-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 81'],
  ['unknown', `-t nat -A PREROUTING -d ${at.b1} -j NETMAP --to 10.210.0.3/32`],
  [
    'unknown',
    `-t nat -A PREROUTING -d ${at.b1} -j NETMAP --to 10.210.0.3/32`,
    `${first} -d ${at.b1} -j DROP`,
  ],
  ['unknown', '-t mangle -A PREROUTING -j TTL --ttl-set 1'],
  // What is not understood.
  ['unknown', `${first} -m length --length 0:100 -j DROP`],
  ['unknown', `${first} -m limit --limit 1/minute -j DROP`],
  ['unknown', `${first} -m length ! --length 0:100 -j DROP`],
  ['unknown', `${first} -j NFQUEUE`],
  // A rule that is not understood may have changed what later ones ask for.
  ['unknown', '-t raw -A PREROUTING -j CT --notrack', `${first} -m conntrack --ctstate NEW -j DROP`],
  ['unknown', '-t raw -A PREROUTING -j CT --notrack', `${first} -m conntrack ! --ctstate UNTRACKED -j DROP`],
  ['unknown', '-t mangle -A PREROUTING -j NFQUEUE', `${first} -m mark --mark 0 -j DROP`],
  [
    'unknown',
    '-t mangle -A PREROUTING -j HMARK --hmark-tuple src --hmark-mod 1 --hmark-rnd 1 --hmark-offset 5',
    `${first} -m mark ! --mark 5 -j DROP`,
  ],
  [
    'passes',
    '-t mangle -A PREROUTING -j HMARK --hmark-tuple src --hmark-mod 1 --hmark-rnd 1 --hmark-offset 5',
    '-t mangle -A PREROUTING -j MARK --set-mark 7',
    `${first} -m mark --mark 0 -j DROP`,
  ],
  [
    'unknown',
    '-t mangle -A PREROUTING -j TTL --ttl-set 64',
    '-t mangle -A PREROUTING -j MARK --set-mark 7',
    `${first} -m mark --mark 0 -j DROP`,
  ],
];

describe.each(['nft', 'legacy'] as const)('rules of iptables-%s', backend => {
  let lab: Lab;
  let arrived: () => Promise<number>;
  beforeAll(async () => {
    lab = await createScaffoldLab(backend);
    arrived = await lab.count(lab.b1, 'tcp dport 80 tcp flags & (syn | ack) == syn');
  }, 60_000);
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await lab.reset();
    for (const table of ['raw', 'mangle']) await lab.iptables('-t', table, '-F');
    await lab.forgetConnections();
  });

  async function explain(): Promise<{ verdict: Verdict; explained: ExplainedFlow }> {
    const { stdout } = await lab.host.exec(process.execPath, [child], {
      input: JSON.stringify([{ src: at.a1, dst: at.b1, proto: 'tcp', port: 80 }]),
      env: lab.env,
    });
    const explained = JSON.parse(stdout) as ExplainedFlow;
    const verdicts = explained.hops.map(({ verdict }) => verdict);
    const known = verdicts.includes('unknown') ? 'unknown' : 'passes';
    return { verdict: verdicts.includes('blocked') ? 'blocked' : known, explained };
  }

  async function compare([says, ...rules]: Case): Promise<void> {
    for (const rule of rules) await lab.iptables(...rule.split(' '));
    const { verdict, explained } = await explain();
    expect(verdict, JSON.stringify(explained)).toBe(says);
    if (says === 'unknown') return;
    const before = await arrived();
    const sent = lab.a1.reach('tcp', at.b1, 80, dropMs);
    if (says === 'passes')
      await soon(async () => expect(await arrived()).toBeGreaterThan(before), { timeout: passMs });
    await sent;
    if (says === 'blocked') expect(await arrived()).toBe(before);
  }

  test.each(cases.map(each => ({ each, rules: each.slice(1).join('; '), says: each[0] })))(
    '$rules: $says',
    ({ each }) => compare(each),
  );
  // The kernel lets chains of nf_tables lead to each other 16 times, and those of iptables-legacy as often as there are chains.
  if (backend === 'legacy')
    test.each([17, 60])('%i chains that lead to each other, of which the last one drops', depth =>
      compare(['blocked', ...nested(depth)]),
    );
});
