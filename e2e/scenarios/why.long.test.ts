// Compares `coold why` and firewall.explain with real packets: six typical flows, and random rules with random flows.
// Two Debians, both variants of iptables; `E2E_WHY=whole` runs all four, `E2E_WHY_ON=debian-13-nft` one of them.
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { operator } from '../harness/callers.ts';
import { eventually } from '../harness/eventually.ts';
import type { FleetHost } from '../harness/fleet.ts';
import { expectExec, type Provider } from '../harness/provider.ts';
import { addressesOf, compareFlows, type Flow, meshContainers, type Verdict } from '../packets/flows.ts';
import { measure } from '../packets/measure.ts';
import { grounds } from '../packets/outcomes.ts';
import { type ContainerName, publishedPort } from '../packets/places.ts';
import { probeNumbers } from '../packets/prober.ts';
import type { Row } from '../packets/row.ts';
import { writeRules } from '../packets/rules.ts';
import { createScene, type Scene } from '../packets/scene.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

const whyClient = fileURLToPath(new URL('../clients/why.php', import.meta.url));
const setUpMs = 15 * 60_000;
const rounds = Number(process.env['E2E_WHY_ROUNDS'] ?? 3);
const flowsOfRound = 40;

const wanted = grounds.filter(({ system, variant }) => {
  const only = process.env['E2E_WHY_ON'] ?? '';
  if (only !== '') return only === `${system}-${variant}`;
  return process.env['E2E_WHY'] === 'whole' || variant === 'nft';
});

/** Uses ports that the prober serves for nothing else. */
const aFlow = fc.record({
  ends: fc.uniqueArray(fc.constantFrom(...meshContainers), { minLength: 2, maxLength: 2 }),
  proto: fc.constantFrom('tcp', 'udp'),
  port: fc.integer({ min: 7200, max: 7215 }),
});
const someFlows = fc.uniqueArray(aFlow, {
  minLength: flowsOfRound,
  maxLength: flowsOfRound,
  selector: ({ ends, proto, port }) => `${ends.join()} ${proto} ${port}`,
});

describe.each(wanted)('coold why on $name', ({ system, variant }) => {
  let provider: Provider;
  let scene: Scene;
  const nextNumber = probeNumbers();

  beforeAll(async () => {
    const chosen = await chooseGround();
    provider = chosen.provider;
    scene = await createScene(chosen, system, variant);
  }, setUpMs);
  afterAll(() => provider?.close(), setUpMs);
  beforeEach(() => journalsOnFailure(scene.fleet));

  /** Runs `coold why` on a host. */
  async function why(
    { host }: FleetHost,
    ...words: string[]
  ): Promise<{ code: number | null; text: string }> {
    const { code, stdout, stderr } = await host.exec(['coold', 'why', ...words], { timeoutMs: 30_000 });
    process.stdout.write(`${host.name}# coold why ${words.join(' ')}   (exit ${code})\n${stdout}${stderr}\n`);
    return { code, text: `${stdout}${stderr}` };
  }

  async function arrives(from: ContainerName, to: ContainerName): Promise<boolean> {
    const row: Row = {
      ...({ id: 'asked', group: 'Allow rules', verdict: 'passes', why: 'it is asked about' } as const),
      from,
      to,
      packet: { kind: 'tcp', port: 7100 },
    };
    const observed = await measure(scene, [row], nextNumber);
    return (observed.get('asked')?.arrived.length ?? 0) > 0;
  }

  test(
    'reports for six flows what their packets do',
    async () => {
      const { a, b } = scene;
      const where = await scene.look();
      const flow = (from: ContainerName, to: ContainerName): Flow => ({ from, to, proto: 'tcp', port: 7100 });
      const rule = (from: ContainerName, to: ContainerName, host: 'a' | 'b') => ({
        ...({ host, ...addressesOf(flow(from, to), where), proto: 'tcp', port: 7100 } as const),
      });
      await writeRules(scene, [
        rule('a/default', 'b/default', 'b'),
        rule('a/default', 'a/default2', 'a'),
        rule('a/beta', 'b/default', 'b'),
      ]);
      const ask = async (from: ContainerName, to: ContainerName, hosts: readonly FleetHost[]) => {
        const { src, dst } = addressesOf(flow(from, to), where);
        const codes: (number | null)[] = [];
        for (const host of hosts) codes.push((await why(host, src, dst, 'tcp/7100')).code);
        return { codes, arrived: await arrives(from, to) };
      };
      // Allowed across hosts; each host judges its own hops.
      expect(await ask('a/default', 'b/default', [a, b])).toEqual({ codes: [0, 0], arrived: true });
      // Within one bridge, and to another namespace.
      expect(await ask('a/default', 'a/default2', [a])).toEqual({ codes: [0], arrived: true });
      expect(await ask('a/default', 'a/alpha', [a])).toEqual({ codes: [1], arrived: false });
      // Blocked: no rule on the destination.
      expect(await ask('a/alpha', 'b/beta', [a, b])).toEqual({ codes: [0, 1], arrived: false });
      // Blocked by another program's rule on the source.
      const { src } = addressesOf(flow('a/beta', 'b/default'), where);
      const table = `table inet operator { chain out { type filter hook forward priority 5; ip saddr ${src} drop; }; }`;
      await expectExec(a.host, ['nft', '-f', '-'], { input: table });
      try {
        expect(await ask('a/beta', 'b/default', [a, b])).toEqual({ codes: [1, 0], arrived: false });
      } finally {
        await expectExec(a.host, ['nft', 'delete', 'table', 'inet', 'operator']);
      }
      // Laravel joins the answers of both hosts.
      const joined = async () => {
        const { src: from, dst: to } = addressesOf(flow('a/alpha', 'b/beta'), where);
        const { host: central } = scene.fleet.central;
        await central.put({ file: whyClient }, '/root/why.php', 0o644);
        const argv = [
          'php',
          '/root/why.php',
          '/run/coolify/broker.sock',
          'a',
          'b',
          from,
          to,
          'tcp',
          '7100',
        ] as const;
        const { code, stdout } = await central.exec(argv);
        const answer = JSON.parse(stdout) as {
          hops: { host: string; hop: string; verdict: string }[];
          allow: object[];
        };
        return {
          code,
          allow: answer.allow,
          hops: answer.hops.map(({ host, hop, verdict }) => [host, hop, verdict]),
        };
      };
      const { src: from, dst: to } = addressesOf(flow('a/alpha', 'b/beta'), where);
      const body = { namespace: 'beta', src: from, dst: to, proto: 'tcp', port: 7100 };
      expect(await joined()).toEqual({
        code: 1,
        allow: [{ host_id: 'b', command: { type: 'firewall.allow', ...body } }],
        hops: [
          ['a', 'source_bridge', 'passes'],
          ['a', 'source_forward', 'passes'],
          ['a', 'wireguard', 'passes'],
          ['b', 'destination_forward', 'blocked'],
          ['b', 'destination_bridge', 'passes'],
        ],
      });
      // The rule that it names opens the flow.
      const told = (await scene.call(b, {
        type: 'firewall.explain',
        ...addressesOf(flow('a/alpha', 'b/beta'), where),
        proto: 'tcp',
        port: 7100,
      })) as { allow: Record<string, unknown> };
      await scene.call(b, { type: 'firewall.allow', ...told.allow });
      expect(await ask('a/alpha', 'b/beta', [a, b])).toEqual({ codes: [0, 0], arrived: true });
      expect(await joined()).toMatchObject({ code: 0, allow: [] });
      // By name, and for an address that nobody has.
      expect((await why(a, 'default', 'default2', 'tcp/7100')).text).toMatch(/default2|name one of/);
      expect((await why(a, 'nosuch', 'default2')).code).toBe(2);
      expect((await why(a, src, '8.8.8.8')).code).toBe(2);
    },
    5 * 60_000,
  );

  test('refuses a flow that is not between containers, and names the field', async () => {
    const { a, b } = scene;
    const where = await scene.look();
    const src = where.addressOf('a/default', 'own', 'a/default');
    const caller = operator();
    const refused = async (host: FleetHost, fields: Record<string, unknown>) => {
      const answer = await caller.call(host, {
        type: 'firewall.explain',
        src,
        proto: 'tcp',
        port: 80,
        ...fields,
      });
      return answer.ok ? 'answered' : `${answer.code} ${answer.field} ${answer.message}`;
    };
    expect(await refused(a, { dst: where.addressOf('a', 'gateway', 'a/default') })).toMatch(
      /^400 dst .*own address/,
    );
    expect(await refused(a, { dst: a.host.address, port: publishedPort })).toMatch(
      /^400 dst .*published by container published/,
    );
    expect(await refused(a, { dst: b.mgmtIp })).toMatch(/^400 dst .*address of a host of the mesh/);
    expect(await refused(a, { dst: '198.51.100.9' })).toMatch(/^400 dst .*outside of the mesh/);
    expect(await refused(a, { dst: 'fe80::1' })).toMatch(/^400 dst .*IPv6/);
    expect(await refused(a, { dst: src })).toMatch(/^400 dst .*itself/);
    const elsewhere = where.addressOf('a/alpha', 'own', 'a/alpha');
    expect(await refused(b, { dst: elsewhere })).toMatch(/^400 dst .*neither end/);
    // Of two networks, it uses the one that both ends are on.
    const two = where.addressOf('a/two', 'second network', 'a/two');
    expect((await why(a, 'two', where.addressOf('a/wide', 'own', 'a/wide'), 'tcp/80')).text).toContain(
      `two.default (${two})`,
    );
  });

  test(
    'reports for random flows what their packets do',
    async () => {
      const said: Record<Verdict, number> = { passes: 0, blocked: 0, unknown: 0 };
      const seed = Number(process.env['E2E_WHY_SEED'] ?? Date.now() % 2 ** 31);
      for (const asked of fc.sample(someFlows, { numRuns: rounds, seed })) {
        const flows = asked.flatMap(({ ends: [from, to], proto, port }): Flow[] =>
          from === undefined || to === undefined ? [] : [{ from, to, proto, port }],
        );
        const allowed = flows.filter((_, index) => index % 2 === 0);
        const compared = await compareFlows(scene, flows, allowed, nextNumber);
        expect(compared.differences, `seed ${seed}`).toEqual([]);
        for (const verdict of ['passes', 'blocked', 'unknown'] as const)
          said[verdict] += compared.said[verdict];
      }
      process.stdout.write(
        `${rounds * flowsOfRound} flows compared: ${JSON.stringify(said)}, seed ${seed}\n`,
      );
      expect(said.unknown).toBe(0);
      expect(Math.min(said.passes, said.blocked)).toBeGreaterThan(0);
    },
    10 * 60_000,
  );

  test(
    'reports that a host is down',
    async () => {
      const { a, b } = scene;
      const where = await scene.look();
      const { src, dst } = addressesOf(
        { from: 'a/default', to: 'b/default', proto: 'tcp', port: 7100 },
        where,
      );
      await expectExec(b.host, ['systemctl', 'stop', 'wg-quick@wg0.service']);
      try {
        // A session key lives for three minutes; after that the host counts as not heard from.
        const { text } = await eventually(
          'coold why to say that the flow is blocked',
          async () => {
            const answer = await why(a, src, dst, 'tcp/7100');
            return answer.code === 1 ? answer : undefined;
          },
          { timeoutMs: 240_000, everyMs: 15_000 },
        );
        expect(text).toContain('down or cut off');
        expect(await arrives('a/default', 'b/default')).toBe(false);
      } finally {
        await expectExec(b.host, ['systemctl', 'start', 'wg-quick@wg0.service']);
      }
    },
    6 * 60_000,
  );
});
