import { setTimeout as delay } from 'node:timers/promises';
import { cpuMs } from './cpu.ts';
import { residentMb } from './memory.ts';
import { brokerMemory, measured, takeInSeconds } from './scale-model.ts';
import { toEach, withBroker } from './streams.ts';
import type { Figure, Suite } from './suite.ts';

/** Compares real brokers with 1,000 and 10,000 hosts with the model of docs/scale.md. */
export const scaleSuite: Suite = {
  name: 'scale',
  summary: 'memory and CPU of a broker at two sizes of its fleet, beside what docs/scale.md makes of them',
  async run(quick) {
    const figures: Figure[] = [];
    for (const hosts of quick ? [20, 40] : [1000, 10_000])
      await withBroker(async broker => {
        const hold = (what: string, seen: number, made: number, unit: string) => {
          figures.push({ what: `${hosts} hosts: ${what}`, value: seen, unit, aim: '' });
          figures.push({
            what: `${hosts} hosts: ${what}, of the page's`,
            value: seen / made,
            unit: '',
            aim: 'at most 1.1',
          });
        };
        const cpuS = async () => (await cpuMs(broker.pid())) / 1000;
        const before = await cpuS();
        await broker.startHosts(hosts);
        hold('CPU to take them in', (await cpuS()) - before, takeInSeconds(hosts), 's');
        await toEach(hosts, broker.dispatchTo);
        const dispatched = await cpuS();
        await toEach(hosts, broker.dispatchTo);
        const each = (((await cpuS()) - dispatched) * 1e6) / hosts;
        hold('CPU of a dispatch to each', each, measured.dispatchUs, 'µs');
        await delay(quick ? 0 : 2000);
        hold('memory', await residentMb(broker.pid()), brokerMemory(hosts), 'MB');
      });
    return { rows: [], ratios: [], figures };
  },
};
