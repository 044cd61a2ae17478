// Rules of others that ask for more than addresses and ports, one at a time: what is said of each, beside a real packet. What is
// not known of a packet may only make it `unknown`. Needs root.
import { fileURLToPath } from 'node:url';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at, createScaffoldLab, dropMs, type Lab, passMs } from '../../../test/scaffold-lab.ts';
import type { ExplainedFlow } from './explain-flow.ts';

const child = fileURLToPath(new URL('../../../test/explaining-child.ts', import.meta.url));

type Verdict = 'passes' | 'blocked' | 'unknown';
type Hook = 'prerouting' | 'forward' | 'postrouting';
interface Case {
  /** In nft's words, of a chain at `hook`. */
  rules: readonly string[];
  says: Verdict;
  /** What stands beside the chain: sets, maps, other chains. */
  beside?: string;
  hook?: Hook;
  type?: 'filter' | 'nat';
  priority?: number;
  policy?: 'accept' | 'drop';
}

const routed: readonly Case[] = [
  // Sets and maps.
  { rules: ['ip saddr { 10.210.0.0-10.210.0.1, 10.210.0.3 } drop'], says: 'passes' },
  { rules: ['ip saddr != { 10.210.0.0-10.210.0.1, 10.210.0.3 } drop'], says: 'blocked' },
  { rules: ['ip saddr . tcp dport vmap { 10.210.0.0/24 . 80-90 : drop }'], says: 'blocked' },
  { rules: ['ip saddr . tcp dport vmap { 10.210.0.0/24 . 81-90 : drop }'], says: 'passes' },
  {
    rules: ['tcp dport vmap { 22 : drop, 443 : jump more }'],
    beside: 'chain more { drop; }',
    says: 'passes',
  },
  {
    rules: ['tcp dport vmap { 22 : accept, 80 : jump more }'],
    beside: 'chain more { drop; }',
    says: 'blocked',
  },
  { rules: ['ip saddr vmap { 203.0.113.9 : accept, * : drop }'], says: 'blocked' },
  {
    rules: ['meta mark set ip saddr map { 203.0.113.9 : 0x1, * : 0x7 }', 'meta mark 0x7 drop'],
    says: 'blocked',
  },
  {
    rules: ['ip saddr @some drop'],
    beside: `set some { type ipv4_addr; elements = { ${at.a1} }; }`,
    says: 'blocked',
  },
  {
    rules: ['ip saddr @some drop'],
    beside: `set some { type ipv4_addr; limit rate over 1/day burst 50 packets; elements = { ${at.a1} }; }`,
    says: 'unknown',
  },
  {
    rules: ['ip saddr @some drop'],
    beside: `set some { type ipv4_addr; counter; elements = { ${at.a1} }; }`,
    says: 'blocked',
  },
  {
    rules: ['add @seen { ip saddr }', 'ip saddr @seen drop'],
    beside: 'set seen { type ipv4_addr; size 16; flags dynamic,timeout; timeout 1m; }',
    says: 'unknown',
  },
  {
    rules: ['update @seen { ip saddr limit rate over 1/day burst 50 packets } drop'],
    beside: 'set seen { type ipv4_addr; size 16; flags dynamic,timeout; timeout 1m; }',
    says: 'unknown',
  },
  // Chains.
  {
    rules: ['jump one', 'drop'],
    beside:
      'chain one { jump two; accept; }\n chain two { jump three; }\n chain three { ip saddr 203.0.113.9 drop; return; }',
    says: 'passes',
  },
  { rules: ['goto one', 'accept'], beside: 'chain one { return; }', policy: 'drop', says: 'blocked' },
  { rules: ['ip saddr 203.0.113.9 accept'], policy: 'drop', says: 'blocked' },
  // Ports.
  { rules: ['tcp dport 70-90 drop'], says: 'blocked' },
  { rules: ['tcp dport 81-65535 drop'], says: 'passes' },
  { rules: ['tcp dport != 80 drop'], says: 'passes' },
  { rules: ['tcp sport 1-65535 drop'], says: 'unknown' },
  { rules: ['@th,16,16 80 drop'], says: 'blocked' },
  { rules: ['udp dport 80 drop'], says: 'passes' },
  // What only counts or tells.
  { rules: ['counter log prefix "x" drop'], says: 'blocked' },
  { rules: ['counter name seen drop'], beside: 'counter seen { }', says: 'blocked' },
  { rules: ['counter log prefix "x"'], says: 'passes' },
  // Marks.
  { rules: ['meta mark set 0x5', 'meta mark & 0x4 == 0x4 drop'], says: 'blocked' },
  { rules: ['ct mark set 0x5', 'meta mark set ct mark', 'meta mark 0x5 drop'], says: 'blocked' },
  { rules: ['meta mark != 0x0 drop'], says: 'passes' },
  { rules: ['meta length < 5000 meta mark set 0x5', 'meta mark 0x5 drop'], says: 'unknown' },
  // Connections.
  { rules: ['ct state vmap { new : drop, established : accept }'], says: 'blocked' },
  { rules: ['ct state established,related drop'], says: 'passes' },
  { rules: ['ct state invalid,untracked drop'], says: 'passes' },
  { rules: ['ct direction original drop'], says: 'blocked' },
  { rules: ['ct status dnat drop'], says: 'passes' },
  { rules: ['ct count over 1000 drop'], says: 'unknown' },
  {
    rules: ['notrack'],
    hook: 'prerouting',
    priority: -300,
    beside: 'chain late { type filter hook forward priority 5; ct state untracked drop; }',
    says: 'unknown',
  },
  // Where it came from and goes to.
  { rules: ['fib daddr type local drop'], says: 'passes' },
  { rules: ['fib saddr . iif oif missing drop'], hook: 'prerouting', says: 'passes' },
  { rules: ['iifname "br-a" oifname "br-b" drop'], says: 'blocked' },
  { rules: ['iifname "br-*" drop'], says: 'blocked' },
  { rules: ['iifname != "br-a" drop'], says: 'passes' },
  { rules: ['meta skuid 0 drop'], says: 'passes' },
  { rules: ['meta iifgroup 0 drop'], says: 'unknown' },
  // What is another packet afterwards.
  { rules: [`ip daddr set ${at.a2}`], hook: 'prerouting', priority: -300, says: 'unknown' },
  { rules: ['ip dscp set cs1'], hook: 'prerouting', says: 'passes' },
  { rules: ['ip id set 1'], hook: 'prerouting', says: 'passes' },
  { rules: ['ip ttl set 1'], hook: 'prerouting', says: 'unknown' },
  { rules: ['ip protocol set 99'], hook: 'prerouting', says: 'unknown' },
  // A packet that was sent to all of a network is not forwarded.
  { rules: ['meta pkttype set broadcast'], hook: 'prerouting', says: 'unknown' },
  { rules: ['tcp dport 80 redirect to :81'], type: 'nat', hook: 'prerouting', says: 'unknown' },
  // What is not known of it.
  { rules: ['ip ttl < 5 drop'], says: 'unknown' },
  { rules: ['ip length < 5000 drop'], says: 'unknown' },
  { rules: ['ip dscp cs1 drop'], says: 'unknown' },
  { rules: ['ip option rr exists drop'], says: 'unknown' },
  { rules: ['tcp option maxseg size < 9 drop'], says: 'unknown' },
  { rules: ['numgen inc mod 2 vmap { 0 : drop, 1 : accept }'], says: 'unknown' },
  { rules: ['jhash ip saddr mod 2 vmap { 0 : drop, 1 : accept }'], says: 'unknown' },
  { rules: ['limit rate over 1/day burst 50 packets drop'], says: 'unknown' },
  { rules: ['quota over 1 mbytes drop'], says: 'unknown' },
  { rules: ['meta hour "00:00"-"23:59" drop'], says: 'unknown' },
  { rules: ['socket transparent 1 drop'], hook: 'prerouting', priority: -150, says: 'unknown' },
  { rules: ['reject with tcp reset'], says: 'blocked' },
];

const bridged: readonly Case[] = [
  { rules: ['ether type ip drop'], says: 'blocked' },
  { rules: ['ether type ip6 drop'], says: 'passes' },
  { rules: ['iifname "a1" drop'], says: 'unknown' },
  { rules: ['ether saddr 02:00:00:00:00:01 drop'], says: 'unknown' },
  { rules: ['vlan id 5 drop'], says: 'passes' },
];

/** Of a container whose packets to the other network are given the address of this host. */
const masqueraded: readonly Case[] = [
  { rules: [`ip saddr ${at.a1} drop`], hook: 'postrouting', priority: 150, says: 'unknown' },
  { rules: ['ip saddr 10.88.0.1 drop'], hook: 'postrouting', priority: 150, says: 'unknown' },
  { rules: [`ip saddr ${at.a1} drop`], hook: 'postrouting', priority: 50, says: 'blocked' },
  { rules: [`ip daddr ${at.plain} drop`], hook: 'postrouting', priority: 150, says: 'blocked' },
  { rules: ['ip daddr 203.0.113.9 drop'], hook: 'postrouting', priority: 150, says: 'passes' },
  { rules: ['fib saddr type local drop'], hook: 'postrouting', priority: 150, says: 'unknown' },
];

/** Chains at interfaces. */
const atInterfaces: readonly { device: string; hook: 'ingress' | 'egress'; says: Verdict }[] = [
  { device: 'br-a', hook: 'ingress', says: 'unknown' },
  { device: 'a1', hook: 'ingress', says: 'unknown' },
  { device: 'br-b', hook: 'egress', says: 'unknown' },
  { device: 'b1', hook: 'egress', says: 'unknown' },
  { device: 'eth0', hook: 'ingress', says: 'passes' },
  { device: 'plain', hook: 'ingress', says: 'passes' },
];

const firstPacket = 'tcp dport 80 tcp flags & (fin | syn | rst | ack) == syn';

describe('a rule of others', () => {
  let lab: Lab;
  /**
   * How many connections of the flow began to arrive, by its destination. Other packets may be late ones of the case
   * before: a server repeats its SYN-ACK after a second, and gets a RST for it.
   */
  let seen: Record<string, () => Promise<number>>;
  beforeAll(async () => {
    lab = await createScaffoldLab('nft');
    await lab.reset();
    await lab.apply();
    await lab.allow(at.a1, at.b1, 'tcp', '80');
    await lab.allow(at.a1, at.a2, 'tcp', '80');
    seen = {
      [at.b1]: await lab.count(lab.b1, firstPacket),
      [at.plain]: await lab.count(lab.plain, firstPacket),
      [at.a2]: await lab.count(lab.a2, firstPacket),
    };
  }, 60_000);
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  async function explain(dst: string): Promise<{ verdict: Verdict; explained: ExplainedFlow }> {
    const { stdout } = await lab.host.exec(process.execPath, [child], {
      input: JSON.stringify([{ src: at.a1, dst, proto: 'tcp', port: 80 }]),
      env: lab.env,
    });
    const explained = JSON.parse(stdout) as ExplainedFlow & { problem?: string };
    if (explained.problem !== undefined) return { verdict: 'blocked', explained };
    const verdicts = explained.hops.map(({ verdict }) => verdict);
    const verdict = verdicts.includes('blocked')
      ? 'blocked'
      : verdicts.includes('unknown') || verdicts.length === 0
        ? 'unknown'
        : 'passes';
    return { verdict, explained };
  }

  /** Puts a table in, asks, and sends a packet. */
  async function compare(family: string, table: string, dst: string, says: Verdict): Promise<void> {
    await lab.host.exec('nft', ['-f', '-'], { input: `table ${family} strange {\n${table}\n}\n` });
    try {
      await lab.forgetConnections();
      const { verdict, explained } = await explain(dst);
      expect(verdict, JSON.stringify(explained)).toBe(says);
      if (says === 'unknown') return;
      const arrived = seen[dst];
      if (arrived === undefined) throw new Error(`nothing counts what arrives at ${dst}`);
      const before = await arrived();
      // Whether it is answered does not matter: some of these rules drop answers.
      const sent = lab.a1.reach('tcp', dst, 80, dropMs);
      if (says === 'passes')
        await soon(async () => expect(await arrived()).toBeGreaterThan(before), { timeout: passMs });
      await sent;
      if (says === 'blocked') expect(await arrived()).toBe(before);
    } finally {
      await lab.nft('delete', 'table', family, 'strange');
    }
  }

  const chainOf = ({
    rules,
    beside = '',
    type = 'filter',
    hook = 'forward',
    priority = 1,
    policy = 'accept',
  }: Case) =>
    `${beside}\n chain strange { type ${type} hook ${hook} priority ${priority}; policy ${policy}; ${rules.join('; ')}; }`;

  test.each(routed)('between bridges: $rules: $says', async given => {
    await compare('inet', chainOf(given), at.b1, given.says);
  });
  test.each(masqueraded)('to another network: $rules: $says', async given => {
    await compare('inet', chainOf(given), at.plain, given.says);
  });
  test.each(bridged)('on a bridge: $rules: $says', async given => {
    await compare('bridge', chainOf(given), at.a2, given.says);
  });
  test('rules that change while they are read make no answer wrong', async () => {
    const churn = [
      'add table inet strange',
      'add chain inet strange strange { type filter hook forward priority 1; policy drop; }',
      `add rule inet strange strange ip saddr ${at.a1} accept`,
    ];
    const rest = ['delete table inet strange'];
    const script = (lines: readonly string[]) => lines.map(line => `${line}\n`).join('');
    // Each time the chain is there at once with the rule that accepts, and goes at once.
    const text = `for round in $(seq 25); do printf '%s' "$PUT" | nft -f -; printf '%s' "$TAKE" | nft -f -; done`;
    const changing = lab.host.exec('sh', ['-ec', text], {
      env: { ...process.env, PUT: script(churn), TAKE: script(rest) },
    });
    const question = { src: at.a1, dst: at.b1, proto: 'tcp', port: 80 };
    const explain = async (count: number) => {
      const input = JSON.stringify(Array.from({ length: count }, () => question));
      const { stdout } = await lab.host.exec(process.execPath, [child, '--may-give-up'], {
        input,
        env: lab.env,
      });
      return stdout
        .split('\n')
        .filter(line => line !== '')
        .map(line => JSON.parse(line) as ExplainedFlow & { gaveUp?: string });
    };
    const during = await explain(200);
    await changing;
    const afterwards = await explain(1);
    // A question may be given up, and says so; none is answered by half of a change.
    const verdictsOf = ({ hops }: ExplainedFlow) => hops.map(({ verdict }) => verdict);
    const passes = ['passes', 'passes', 'passes'];
    for (const explained of during)
      if (explained.gaveUp === undefined) expect(verdictsOf(explained)).toEqual(passes);
      else expect(explained.gaveUp).toContain('the packet filter changed during each of 3 readings');
    expect(during).toHaveLength(200);
    expect(afterwards.map(verdictsOf)).toEqual([passes]);
  }, 120_000);
  test.each([
    ['ipproto tcp dport 80', 'blocked'],
    ['ipproto tcp dport 81', 'passes'],
    ['ipproto udp dport 80', 'passes'],
    ['fwmark 5', 'unknown'],
  ] as const)('a rule of the routing policy about %s: %s', async (what, says) => {
    const words = `rule add pref 10 ${what} blackhole`.split(' ');
    await lab.host.exec('ip', words);
    const marking = 'chain strange { type filter hook prerouting priority -150; meta mark set 5; }';
    try {
      if (what === 'fwmark 5') {
        // Without a mark it says nothing about the packet.
        await compare('inet', '', at.b1, 'passes');
        await compare('inet', marking, at.b1, says);
      } else await compare('inet', '', at.b1, says);
    } finally {
      await lab.host.exec('ip', ['rule', 'del', 'pref', '10']);
    }
  });
  test.each(atInterfaces)('at $device, $hook: $says', async ({ device, hook, says }) => {
    const chain = `chain strange { type filter hook ${hook} device "${device}" priority 0; policy drop; }`;
    await compare('netdev', chain, at.b1, says);
  });
});
