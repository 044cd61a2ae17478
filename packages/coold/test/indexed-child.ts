// Changes rules, for tests, in a network namespace of its own, and answers after each change by the index and by whole listings:
// steps as JSON in, what both said of each out, and how often announcements were lost.
import { runChild } from '@coold/runtime';
import { explainFlow, type FilterReaders } from '../src/firewall/explain/explain-flow.ts';
import { noIndex, type RuleIndex } from '../src/firewall/explain/kernel-ruleset.ts';
import { findWay, positionOf } from '../src/firewall/explain/packet/find-way.ts';
import { WatchedIndex } from '../src/firewall/explain/rule-index.ts';
import { type Announcements, loadAnnouncements } from '../src/firewall/netlink/announcements.ts';
import { loadNetlink } from '../src/firewall/netlink/netlink-socket.ts';

interface Step {
  program: string;
  args: string[];
  input?: string;
}

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
const { steps, flows, keptBytes } = JSON.parse(Buffer.concat(chunks).toString()) as {
  steps: Step[];
  flows: { src: string; dst: string; port: number }[];
  /** Of announcements, by the kernel. */
  keptBytes?: number;
};
const [open, openAnnouncements] = [loadNetlink(), loadAnnouncements(keptBytes)];
if (open === undefined || openAnnouncements === undefined) throw new Error('this Node cannot call C');
let lost = 0;
function openCounted(): Announcements {
  const announcements = openAnnouncements?.();
  if (announcements === undefined) throw new Error('this Node cannot call C');
  return {
    async take(each) {
      const isWhole = await announcements.take(each);
      if (!isWhole) lost += 1;
      return isWhole;
    },
    [Symbol.dispose]: () => announcements[Symbol.dispose](),
  };
}
const chainName = 'COOLIFY-ALLOW';
const watched = new WatchedIndex(open, openCounted, chainName, error => {
  throw error;
});
const stop = new AbortController();
const keeping = watched.keep(stop.signal);
let found = 0;
const counted: RuleIndex = {
  async handles(...asked) {
    const handles = await watched.handles(...asked);
    if (handles !== undefined) found += 1;
    return handles;
  },
};
const readers = { open, legacy: async () => [], chainName };

async function explain(by: FilterReaders) {
  if (open === undefined) return [];
  using routes = open('routes');
  const said: string[] = [];
  const begun = performance.now();
  for (const { src, dst, port } of flows) {
    const [from, to] = [positionOf(routes, src, 'wg0'), positionOf(routes, dst, 'wg0')];
    const flow = { src, dst, proto: 'tcp', port } as const;
    const { way, sourceLink } = await findWay(routes, flow, from, to, 'wg0');
    if (way === undefined) throw new Error('there is no way');
    const { hops } = await explainFlow(flow, way, sourceLink, by);
    said.push(JSON.stringify(hops));
  }
  return [said, (performance.now() - begun) / flows.length] as const;
}

for (const { program, args, input } of steps) {
  [found, lost] = [0, 0];
  const { code, stderr } = await runChild(program, args, {
    timeoutMs: 30_000,
    ...(input === undefined ? {} : { input }),
  });
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
  const [byIndex, ms] = await explain({ ...readers, index: counted });
  const [byListing, listingMs] = await explain({ ...readers, index: noIndex });
  process.stdout.write(`${JSON.stringify({ byIndex, byListing, found, lost, ms, listingMs })}\n`);
}
stop.abort();
await keeping;
