// The property that everything else rests on: whatever rules stand, a flow that is said to pass arrives, and one that is said to
// be blocked does not. Random rules of coold and of others, random flows, real packets. Needs root.
import { fileURLToPath } from 'node:url';
import type { Netns } from '@coold/testbed/netns';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at, createScaffoldLab, type Lab } from '../../../test/scaffold-lab.ts';
import type { ExplainedFlow } from './explain-flow.ts';

const child = fileURLToPath(new URL('../../../test/explaining-child.ts', import.meta.url));
/** `EXPLAIN_ROUNDS=100` tries more. */
const rounds = Number(process.env['EXPLAIN_ROUNDS'] ?? 6);
const seed = Number(process.env['EXPLAIN_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

const ends = ['a1', 'a2', 'b1', 'plain', 'peer'] as const;
type End = (typeof ends)[number];

interface Flow {
  from: End;
  to: End;
  proto: 'tcp' | 'udp';
  port: number;
}

/** Each pair of ends, by both protocols, each by a port of its own: that tells packets apart whatever becomes of their source. */
const flows: readonly Flow[] = ends
  // The peer has no route to a network that is no part of the mesh.
  .flatMap(from =>
    ends.filter(to => to !== from && !(from === 'peer' && to === 'plain')).map(to => ({ from, to })),
  )
  .flatMap(pair => (['tcp', 'udp'] as const).map(proto => ({ ...pair, proto })))
  .map((flow, index) => ({ ...flow, port: 2000 + index }));

/** Sends the first packet of each flow. Its input is a list of protocol, source, destination and port. */
const sender = `
import json, socket, sys, time
held = []
for proto, source, target, port in json.load(sys.stdin):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if proto == 'tcp' else socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.setblocking(False)
    held.append(s)
    try:
        s.connect((target, port))
        if proto == 'udp': s.send(b'?')
    except OSError: pass
time.sleep(0.7)
`;

const addressOf = (end: End) => at[end];

// What others may have written, in the words of their tools.
const anEnd = fc.constantFrom(...ends);
const aFlow = fc.constantFrom(...flows);
const aBridge = fc.constantFrom('br-a', 'br-b', 'podman0', 'wg0', 'br-+');
const aPortRange = fc.tuple(fc.integer({ min: 1990, max: 2050 }), fc.integer({ min: 0, max: 20 }));

const iptablesMatch = fc.oneof(
  anEnd.map(end => `-s ${addressOf(end)}/32`),
  anEnd.map(end => `-d ${addressOf(end)}/32`),
  anEnd.map(end => `! -s ${addressOf(end)}/32`),
  fc.constantFrom('-s 10.210.0.0/24', '-d 10.210.0.0/16', '! -d 10.210.1.0/24', '-d 10.0.0.0/8'),
  aBridge.map(name => `-i ${name}`),
  fc.constantFrom('-p tcp', '-p udp', '! -p tcp', '-p icmp'),
  aFlow.map(({ proto, port }) => `-p ${proto} --dport ${port}`),
  fc
    .tuple(fc.constantFrom('tcp', 'udp'), aPortRange)
    .map(([proto, [low, more]]) => `-p ${proto} --dport ${low}:${low + more}`),
  fc
    .tuple(fc.constantFrom('tcp', 'udp'), aPortRange)
    .map(([proto, [low, more]]) => `-p ${proto} -m multiport --dports ${low},${low + 3}:${low + 4 + more}`),
  fc.constantFrom('-m conntrack --ctstate NEW', '-m conntrack --ctstate RELATED,ESTABLISHED'),
  fc.constantFrom('-m conntrack ! --ctstate NEW', '-m conntrack --ctstate DNAT', '-m state --state NEW'),
  fc.constantFrom('-m mark --mark 0x1', '-m mark ! --mark 0x1/0xff', '-m addrtype --dst-type LOCAL'),
  fc.constantFrom('-p tcp --syn', '-p tcp --tcp-flags SYN,ACK ACK', '-m comment --comment "a b"'),
  // Not understood, whatever it says.
  fc.constant('-m length --length 0:60'),
);
const iptablesTarget = fc.constantFrom(
  ...['-j ACCEPT', '-j DROP', '-j DROP', '-j RETURN', '-j REJECT', '-j SOMEONE'],
  ...['-j MARK --set-xmark 0x1/0x1', '-g SOMEONE'],
);
const iptablesRule = fc.record({
  place: fc.constantFrom('-I FORWARD 1', '-A FORWARD', '-A SOMEONE', '-A SOMEONE', '-I COOLIFY-ALLOW 1'),
  matches: fc.uniqueArray(iptablesMatch, {
    minLength: 1,
    maxLength: 2,
    selector: text => text.replace(/^! /, '').slice(0, 2),
  }),
  target: iptablesTarget,
});

const nftMatch = fc.oneof(
  anEnd.map(end => `ip saddr ${addressOf(end)}`),
  anEnd.map(end => `ip daddr != ${addressOf(end)}`),
  fc
    .uniqueArray(anEnd, { minLength: 2, maxLength: 3 })
    .map(some => `ip saddr { ${some.map(addressOf).join(', ')} }`),
  fc.constantFrom(
    'ip daddr 10.210.0.0/24',
    'ip saddr 10.0.0.0/8',
    'ip daddr { 10.210.0.0/24, 10.88.0.0/16 }',
  ),
  fc.constantFrom('meta l4proto tcp', 'meta l4proto { tcp, udp }', 'ip protocol udp', 'meta protocol ip'),
  aFlow.map(({ proto, port }) => `${proto} dport ${port}`),
  aPortRange.map(([low, more]) => `th dport ${low}-${low + more}`),
  aPortRange.map(
    ([low, more]) => `meta l4proto { tcp, udp } th dport { ${low}, ${low + 2}-${low + 3 + more} }`,
  ),
  aPortRange.map(([low]) => `udp dport > ${low}`),
  fc.constantFrom(
    'meta mark 0x1',
    'meta mark & 0x1 == 0x0',
    'tcp flags & (syn | ack) == syn',
    'ip frag-off & 0x1fff == 0',
  ),
  fc.constant('limit rate over 1/day'),
);
/** What a match is about: nft refuses two that contradict each other. */
const subjectOf = (text: string) =>
  /tcp|udp|\bth\b/.test(text) ? 'protocol' : text.split(' ').slice(0, 2).join(' ');
const nftVerdict = fc.oneof(
  fc.constantFrom(
    'accept',
    'drop',
    'drop',
    'return',
    'jump other',
    'goto other',
    'counter',
    'meta mark set 0x1',
  ),
  fc
    .tuple(aFlow, aFlow)
    .map(([a, b]) => `th dport vmap { ${a.port} : drop, ${b.port === a.port ? 1 : b.port} : jump other }`),
);
const nftRule = fc.record({
  isOther: fc.boolean(),
  matches: fc.uniqueArray(nftMatch, { minLength: 1, maxLength: 2, selector: subjectOf }),
  verdict: nftVerdict,
});
const nftTable = fc.record({
  family: fc.constantFrom('ip', 'inet', 'bridge'),
  hook: fc.constantFrom('prerouting', 'forward', 'postrouting'),
  priority: fc.constantFrom(-300, -150, -5, 0, 5, 150),
  rules: fc.array(nftRule, { minLength: 1, maxLength: 4 }),
});

const world = fc.record({
  hasScaffold: fc.oneof(
    { arbitrary: fc.constant(true), weight: 4 },
    { arbitrary: fc.constant(false), weight: 1 },
  ),
  callsIptables: fc.boolean(),
  /** Of every plane, as coold writes them. */
  allowed: fc.uniqueArray(aFlow, { minLength: 6, maxLength: 24, selector: ({ port }) => port }),
  /** Of some places alone: drift. */
  half: fc.array(fc.tuple(aFlow, fc.constantFrom('guard', 'iptables', 'bridge')), { maxLength: 6 }),
  foreign: fc.array(iptablesRule, { maxLength: 3 }),
  table: fc.option(nftTable, { nil: undefined }),
});

describe.each(['nft', 'legacy'] as const)('beside iptables-%s', backend => {
  let lab: Lab;
  const spaces = () =>
    ({ a1: lab.a1, a2: lab.a2, b1: lab.b1, plain: lab.plain, peer: lab.peer }) satisfies Record<End, Netns>;
  beforeAll(async () => {
    lab = await createScaffoldLab(backend);
    for (const space of Object.values(spaces())) await space.exec('nft', ['-f', '-'], { input: counting });
  }, 60_000);
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });

  test(
    'what is said is what packets do',
    async () => {
      const told = { passes: 0, blocked: 0, unknown: 0 };
      const property = fc.asyncProperty(world, async given => {
        const written = await write(lab, given);
        const questions = flows.map(({ from, to, proto, port }) => ({
          src: addressOf(from),
          dst: addressOf(to),
          proto,
          port,
        }));
        const said = await explain(lab, questions);
        const arrived = await send(spaces());
        const wrong: string[] = [];
        for (const [index, flow] of flows.entries()) {
          const explained = said[index];
          if (explained === undefined) throw new Error('a question was not answered');
          const verdict = verdictOf(explained);
          told[verdict] += 1;
          const isThere = arrived.has(`${flow.to} ${flow.proto} ${flow.port}`);
          if (verdict !== 'unknown' && (verdict === 'passes') !== isThere)
            wrong.push(
              `${JSON.stringify(flow)} ${isThere ? 'arrived' : 'did not arrive'}: ${JSON.stringify(explained)}`,
            );
        }
        if (wrong.length > 0) throw new Error(`${wrong.join('\n')}\nwith the rules\n${written}`);
      });
      await fc.assert(property, { numRuns: rounds, seed, endOnFailure: true });
      process.stdout.write(
        `iptables-${backend}: ${JSON.stringify(told)} of ${rounds * flows.length} flows, seed ${seed}\n`,
      );
      expect(told.passes).toBeGreaterThan(rounds);
      expect(told.blocked).toBeGreaterThan(rounds);
      // It may not be so careful that it says nothing.
      expect(told.unknown).toBeLessThan((rounds * flows.length) / 3);
    },
    60_000 + rounds * 30_000,
  );
});

const counting = `
table ip arrivals {
  set seen { type inet_proto . inet_service; flags dynamic; }
  chain arrive {
    type filter hook prerouting priority -400;
    meta l4proto { tcp, udp } th dport 2000-2999 update @seen { meta l4proto . th dport }
  }
}
`;

/** Sends all flows at once. @returns which arrived: end, protocol and port */
async function send(spaces: Record<End, Netns>): Promise<Set<string>> {
  const each = Object.entries(spaces) as [End, Netns][];
  await Promise.all(each.map(([, space]) => space.exec('nft', ['flush', 'set', 'ip', 'arrivals', 'seen'])));
  await Promise.all(
    each.map(([end, space]) => {
      const own = flows
        .filter(({ from }) => from === end)
        .map(({ to, proto, port }) => [proto, addressOf(end), addressOf(to), port]);
      return space.exec('python3', ['-c', sender], { input: JSON.stringify(own) });
    }),
  );
  const arrived = new Set<string>();
  for (const [end, space] of each) {
    const { stdout } = await space.exec('nft', ['-n', 'list', 'set', 'ip', 'arrivals', 'seen']);
    for (const [, number, port] of stdout.matchAll(/(\d+|tcp|udp) \. (\d+)/g))
      arrived.add(`${end} ${number === '6' ? 'tcp' : number === '17' ? 'udp' : number} ${port}`);
  }
  return arrived;
}

async function explain(lab: Lab, questions: readonly object[]): Promise<ExplainedFlow[]> {
  const { stdout } = await lab.host.exec(process.execPath, [child], {
    input: JSON.stringify(questions),
    env: lab.env,
  });
  return stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as ExplainedFlow);
}

function verdictOf({ hops }: ExplainedFlow): 'passes' | 'blocked' | 'unknown' {
  const verdicts = hops.map(({ verdict }) => verdict);
  if (verdicts.includes('blocked')) return 'blocked';
  return verdicts.includes('unknown') || verdicts.length === 0 ? 'unknown' : 'passes';
}

type World = typeof world extends fc.Arbitrary<infer W> ? W : never;

/** Puts the rules of a world into the kernel. @returns them, for people */
async function write(lab: Lab, given: World): Promise<string> {
  const { hasScaffold, callsIptables, allowed, half, foreign, table } = given;
  await lab.reset();
  await lab.host.exec('nft', ['delete', 'table', 'ip', 'others'], { mayFail: true });
  await lab.host.exec('nft', ['delete', 'table', 'inet', 'others'], { mayFail: true });
  await lab.host.exec('nft', ['delete', 'table', 'bridge', 'others'], { mayFail: true });
  await lab.forgetConnections();
  await lab.host.exec('sysctl', ['-qw', `net.bridge.bridge-nf-call-iptables=${callsIptables ? 1 : 0}`]);
  if (hasScaffold) await lab.apply();
  else await lab.iptables('-N', 'COOLIFY-ALLOW');
  const places = [
    ...allowed.flatMap(flow =>
      (['guard', 'iptables', 'bridge'] as const).map(place => [flow, place] as const),
    ),
    ...half,
  ];
  const elements = hasScaffold
    ? places.flatMap(([{ from, to, proto, port }, place]) => {
        if (place === 'iptables') return [];
        const set = place === 'guard' ? 'inet coolify_guard' : 'bridge coolify_bridge';
        return [
          `add element ${set} allowed_ports { ${addressOf(from)} . ${addressOf(to)} . ${proto} . ${port} }`,
        ];
      })
    : [];
  const allow = places
    .filter(([, place]) => place === 'iptables')
    .map(
      ([{ from, to, proto, port }]) =>
        `-A COOLIFY-ALLOW -s ${addressOf(from)} -d ${addressOf(to)} -p ${proto} --dport ${port} -j ACCEPT`,
    );
  const restore = [
    ...['*filter', ':SOMEONE -', ...allow],
    ...foreign.map(({ place, matches, target }) => {
      // A chain cannot lead to itself.
      const led = place.includes('SOMEONE') && target.includes('SOMEONE') ? '-j ACCEPT' : target;
      return `${place} ${matches.join(' ')} ${led}`;
    }),
    ...['COMMIT', ''],
  ].join('\n');
  const others = table === undefined ? [] : nftLines(table);
  const script = [...elements, ...others].map(line => `${line}\n`).join('');
  await lab.host.exec('iptables-restore', ['--noflush'], { input: withoutMarks(restore), env: lab.env });
  await lab.host.exec('nft', ['-f', '-'], { input: script });
  return `${restore}\n${script}`;
}

/** MARK is for the table mangle alone in the kernel's eyes; both variants take it there only. */
function withoutMarks(text: string): string {
  return text.replaceAll('-j MARK --set-xmark 0x1/0x1', '-j RETURN');
}

function nftLines({ family, hook, priority, rules }: Exclude<World['table'], undefined>): string[] {
  const place = `${family} others`;
  return [
    `add table ${place}`,
    `add chain ${place} other`,
    `add chain ${place} first { type filter hook ${hook} priority ${priority}; policy accept; }`,
    ...rules.map(({ isOther, matches, verdict }) => {
      const led = isOther && verdict.includes('other') ? 'accept' : verdict;
      return `add rule ${place} ${isOther ? 'other' : 'first'} ${matches.join(' ')} ${led}`;
    }),
  ];
}
