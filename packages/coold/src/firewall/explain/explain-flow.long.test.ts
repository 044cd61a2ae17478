// What is said of flows, on both variants of iptables; explain-packets.test.ts compares it with real packets. Needs root.
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at, createScaffoldLab, type Lab } from '../../../test/scaffold-lab.ts';
import type { ExplainedFlow } from './explain-flow.ts';

const child = fileURLToPath(new URL('../../../test/explaining-child.ts', import.meta.url));

interface Question {
  src: string;
  dst: string;
  proto?: 'tcp' | 'udp';
  port?: number;
}

describe.each(['nft', 'legacy'] as const)('beside iptables-%s', backend => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createScaffoldLab(backend);
  }, 60_000);
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
  });
  beforeEach(() => lab.reset());

  async function explain(...questions: Question[]): Promise<ExplainedFlow[]> {
    const { stdout } = await lab.host.exec(process.execPath, [child], {
      input: JSON.stringify(questions),
      env: lab.env,
    });
    return stdout
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as ExplainedFlow);
  }

  const verdictOf = ({ hops }: ExplainedFlow) => {
    const verdicts = hops.map(({ verdict }) => verdict);
    if (verdicts.includes('blocked')) return 'blocked';
    return verdicts.includes('unknown') ? 'unknown' : 'passes';
  };
  const blocker = ({ hops }: ExplainedFlow) => hops.find(({ verdict }) => verdict === 'blocked');
  const doubtful = ({ hops }: ExplainedFlow) => hops.find(({ verdict }) => verdict === 'unknown');
  const [within, between, across] = [
    { src: at.a1, dst: at.a2, proto: 'tcp', port: 80 },
    { src: at.a1, dst: at.b1, proto: 'tcp', port: 80 },
    { src: at.peer, dst: at.a1, proto: 'tcp', port: 80 },
  ] as const;

  test('without a rule each way is blocked, and a rule would open it', async () => {
    await lab.apply();
    for (const explained of await explain(within, between, across)) {
      expect(verdictOf(explained)).toBe('blocked');
      expect(explained.ruleOpens).toBe(true);
      expect(blocker(explained)?.why).toBe('no allow rule lets it pass, so the rule drops it');
      expect(blocker(explained)?.by?.text).toBe('drop');
    }
    for (const { src, dst, proto, port } of [within, between, across])
      await lab.allow(src, dst, proto, String(port));
    for (const explained of await explain(within, between, across)) {
      expect(verdictOf(explained)).toBe('passes');
      const [decided] = explained.hops.filter(({ by }) => by?.isAllowRule);
      expect(decided?.by?.text).toBe(
        `${decided?.hop === 'bridge' ? 'meta protocol ip ' : ''}ip saddr . ip daddr . ip protocol . th dport @allowed_ports accept`,
      );
    }
    // Of no protocol in particular it depends, and of the other one it is blocked.
    const [any, udp] = await explain({ src: at.a1, dst: at.b1 }, { ...between, proto: 'udp' });
    expect(any && doubtful(any)?.why).toContain('depends on what is not known of the packet');
    expect(udp && verdictOf(udp)).toBe('blocked');
  });

  test('the parts of a way are named, each once', async () => {
    await lab.apply();
    const flows = [within, between, across, { ...across, src: at.a1, dst: at.peer }];
    const hops = (await explain(...flows)).map(explained => explained.hops.map(({ hop }) => hop));
    expect(hops).toEqual([
      ['bridge', 'forward'],
      ['source_bridge', 'forward', 'destination_bridge'],
      ['destination_forward', 'destination_bridge'],
      ['source_bridge', 'source_forward'],
    ]);
    await lab.host.exec('sysctl', ['-qw', 'net.bridge.bridge-nf-call-iptables=0']);
    const [alone] = await explain(within);
    await lab.host.exec('sysctl', ['-qw', 'net.bridge.bridge-nf-call-iptables=1']);
    expect(alone?.hops.map(({ hop }) => hop)).toEqual(['bridge']);
  });

  test('a flow that others drop names them, and no rule is said to open it', async () => {
    await lab.apply();
    await lab.allow(between.src, between.dst, 'tcp', '80');
    await lab.nft('add', 'table', 'inet', 'operator');
    await lab.nft('add chain inet operator out { type filter hook forward priority 5; policy accept; }');
    await lab.nft(`add rule inet operator out ip saddr ${at.a1} tcp dport { 80, 443 } drop comment "closed"`);
    const [explained] = await explain(between);
    await lab.nft('delete', 'table', 'inet', 'operator');
    expect(explained && blocker(explained)).toMatchObject({
      hop: 'forward',
      why: 'the rule drops it, and no allow rule would change that',
      by: {
        chain: 'inet operator out',
        text: 'ip saddr 10.210.0.2 meta l4proto tcp th dport one of a list drop comment "closed"',
      },
    });
    expect(explained?.ruleOpens).toBe(false);
  });

  test('a policy that drops is named', async () => {
    await lab.iptables('-F', 'FORWARD');
    await lab.iptables('-P', 'FORWARD', 'DROP');
    const [explained] = await explain(between);
    const family = backend === 'nft' ? 'ip filter FORWARD' : 'iptables-legacy filter FORWARD';
    expect(explained && blocker(explained)?.by).toMatchObject({ chain: family, text: 'policy drop' });
  });

  test('what is not understood is never guessed', async () => {
    await lab.apply();
    await lab.allow(between.src, between.dst, 'tcp', '80');
    const words = ['FORWARD', '-s', at.a1, '-m', 'length', '--length', '0:60', '-j', 'DROP'] as const;
    await lab.iptables('-I', ...words);
    const [doubted, denied] = await explain(between, { ...between, port: 81 });
    await lab.iptables('-D', ...words);
    expect(doubted && doubtful(doubted)?.why).toContain('length');
    // Whatever that rule does, the guard drops this one.
    expect(denied && verdictOf(denied)).toBe('blocked');
  });

  test('a packet that is given another address goes where it was not asked about', async () => {
    await lab.apply();
    const dnat = [
      '-t',
      'nat',
      '-A',
      'PREROUTING',
      '-d',
      at.b1,
      '-p',
      'tcp',
      '-j',
      'DNAT',
      '--to-destination',
      at.a2,
    ];
    await lab.iptables(...dnat);
    const [explained] = await explain(between);
    expect(explained && verdictOf(explained)).toBe('unknown');
    expect(explained && doubtful(explained)?.why).toContain('another destination address');
  });

  // Rules of iptables-legacy have no handles.
  if (backend !== 'legacy')
    test('a rule is asked for by its handle, and the chain where that is wrong', async () => {
      await lab.apply();
      await lab.allow(between.src, between.dst, 'tcp', '80');
      const listed = await lab.nft('-a', 'list', 'chain', 'ip', 'filter', 'COOLIFY-ALLOW');
      const handle = / # handle (\d+)$/m.exec(listed.split('accept')[1] ?? '')?.[1] ?? '';
      const asked = async (handles: string) => {
        const { stdout } = await lab.host.exec(process.execPath, [child, `--handles=${handles}`], {
          input: JSON.stringify([between]),
          env: lab.env,
        });
        return verdictOf(JSON.parse(stdout) as ExplainedFlow);
      };
      expect(await asked(handle)).toBe('passes');
      // One that is gone.
      expect(await asked('9999')).toBe('passes');
      // Of two that do not both accept, the order counts.
      await lab.iptables('-I', 'COOLIFY-ALLOW', '-s', at.a1, '-j', 'DROP');
      const again = await lab.nft('-a', 'list', 'chain', 'ip', 'filter', 'COOLIFY-ALLOW');
      const drop = / # handle (\d+)$/m.exec(again.split('drop')[1] ?? '')?.[1] ?? '';
      expect(await asked(`${handle},${drop}`)).toBe('blocked');
    });

  test('a permissive host and a dormant table drop nothing', async () => {
    await lab.nft('add table inet asleep { flags dormant; }');
    await lab.nft('add chain inet asleep out { type filter hook forward priority 0; policy drop; }');
    const explained = await explain(within, between, across);
    await lab.nft('delete', 'table', 'inet', 'asleep');
    expect(explained.map(verdictOf)).toEqual(['passes', 'passes', 'passes']);
  });
});
