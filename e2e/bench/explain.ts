import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { bundled } from './bundled.ts';
import { cpuMs } from './cpu.ts';
import { createExplainingHost, type Flow } from './explaining-host.ts';
import { type Measurement, summarise } from './load.ts';
import { peakMb } from './memory.ts';
import type { Suite } from './suite.ts';

/** Returns a distinct flow between the two bridges for every number. */
const flow = (n: number): Flow => ({
  src: `10.210.${(n >> 8) & 255}.${n & 255 || 7}`,
  dst: `10.211.${n % 250}.9`,
  port: 80 + (n % 9000),
});

const keyOf = ({ src, dst, port }: Flow) => `${src} ${dst} ${port}`;

const aimMs = 200;
/** The first answers of a process run code that is not compiled yet. */
const warmUps = 10;

/**
 * Compares firewall.explain with nft and iptables, which list the rules that it evaluates. Each variant of iptables has
 * its own network namespace. Requests use the same socket as `coold why`.
 */
export const explainSuite: Suite = {
  name: 'explain',
  summary:
    'firewall.explain at 20,000 rules, beside listing one of the three places of the kernel where they stand',
  async run(quick) {
    const [rules, rounds, starts, changed] = quick ? [200, 5, 1, 20] : [20_000, 25, 3, 1000];
    await using cleanup = new AsyncDisposableStack();
    const { path: folder } = cleanup.use(await scratchFolder());
    const { coold: program } = await bundled(join(folder, 'bundle'));
    const timed: Record<string, number[]> = {};
    const time = async (subject: string, work: () => Promise<unknown>) => {
      const begun = performance.now();
      await work();
      timed[subject] = [...(timed[subject] ?? []), performance.now() - begun];
    };
    let [cpuOfEach, manyMs, peak] = [Number.NaN, Number.NaN, Number.NaN];
    for (const variant of ['nft', 'legacy'] as const) {
      await using parts = new AsyncDisposableStack();
      const own = join(folder, variant);
      await mkdir(own);
      const host = parts.use(await createExplainingHost(own, program, variant));
      const first = await host.start();
      await host.bulk({ add: Array.from({ length: rules }, (_, n) => flow(n)) });
      await first[Symbol.asyncDispose]();
      let [asked, coold] = [0, first];
      const ask = async (subject: string) => {
        asked += 1;
        // The rules in the second half are never removed below.
        const one = flow(rules / 2 + ((asked * 797) % (rules / 2)));
        await time(`explain, ${subject}, allowed`, () => host.explain(one, 'passes'));
        await time(`explain, ${subject}, denied`, () => host.explain({ ...one, port: 65_000 }, 'blocked'));
      };
      const named = (subject: string) => (variant === 'nft' ? subject : `iptables-legacy, ${subject}`);
      for (let start = 0; start < starts; start += 1) {
        if (start > 0) await coold[Symbol.asyncDispose]();
        coold = await host.start();
        for (let round = 0; round < warmUps; round += 1) await ask(named('right after a start'));
      }
      parts.use(coold);
      const cpuBefore = await cpuMs(coold.pid);
      for (let round = 0; round < rounds; round += 1) await ask(named('standing'));
      if (variant === 'nft') cpuOfEach = ((await cpuMs(coold.pid)) - cpuBefore) / (2 * rounds);
      for (let change = 0; change < starts; change += 1) {
        const firstHalf = new Set(Array.from({ length: rules / 2 }, (_, n) => keyOf(flow(n))));
        const remove = (await host.rules())
          .filter(rule => firstHalf.has(keyOf(rule)))
          .slice(0, changed / 2)
          .map(({ id }) => id);
        const from = rules * (2 + change);
        await host.bulk({ add: Array.from({ length: changed / 2 }, (_, n) => flow(from + n)), remove });
        for (let round = 0; round < warmUps; round += 1)
          await ask(named(`right after ${changed} changed rules`));
      }
      if (variant === 'nft') {
        const begun = performance.now();
        const many = Array.from({ length: 1000 }, (_, index) =>
          host.explain(flow(rules / 2 + ((index * 797) % (rules / 2))), 'passes'),
        );
        [peak = Number.NaN] = await peakMb(
          [coold.pid],
          Promise.all(many).then(() => {}),
        );
        manyMs = performance.now() - begun;
        // The same number of rules as coold's own.
        const others = Array.from({ length: rules }, (_, n) => flow(n)).map(
          ({ src, dst }) => `-A COOLIFY-ALLOW -s ${src} -d ${dst} -p udp -j ACCEPT`,
        );
        await host.netns.exec('iptables-restore', ['--noflush'], {
          env: host.env,
          input: ['*filter', ...others, 'COMMIT', ''].join('\n'),
        });
        for (let round = 0; round < (quick ? 3 : 9); round += 1) await ask('beside as many rules of others');
        for (let round = 0; round < (quick ? 1 : 5); round += 1)
          await time('raw: nft list chain', () =>
            host.netns.exec('nft', ['list', 'chain', 'bridge', 'coolify_bridge', 'coolify_allow']),
          );
      }
      for (let round = 0; round < (quick ? 1 : 5); round += 1)
        await time(`raw: ${variant === 'nft' ? 'iptables' : 'iptables-legacy'} -S`, () =>
          host.netns.exec('iptables', ['-S', 'COOLIFY-ALLOW'], { env: host.env }),
        );
    }
    const p50 = (subject: string) => summarise(timed[subject] ?? [], 1).p50;
    return {
      rows: Object.entries(timed).map(([subject, latencies]): { subject: string } & Measurement => ({
        subject,
        ...summarise(
          latencies,
          latencies.reduce((sum, ms) => sum + ms, 0),
        ),
      })),
      ratios: [
        {
          what: 'p50, explain, standing, allowed over raw: nft list chain',
          value: p50('explain, standing, allowed') / p50('raw: nft list chain'),
          aim: 'less than 1',
        },
        ...Object.keys(timed)
          .filter(subject => subject.startsWith('explain'))
          .map(subject => ({
            what: `${subject}, at ${rules} rules, p50 in ms`,
            value: p50(subject),
            aim: `at most ${aimMs}`,
          })),
      ],
      figures: [
        {
          what: `work of coold for one explanation, at ${rules} rules`,
          value: cpuOfEach,
          unit: 'ms of a core',
          aim: 'at most 50',
        },
        { what: '1000 explanations at once', value: manyMs, unit: 'ms', aim: 'all of them answered' },
        {
          what: 'memory of coold during those, at most',
          value: peak,
          unit: 'MB',
          aim: 'bounded: four are worked on at once',
        },
      ],
    };
  },
};
