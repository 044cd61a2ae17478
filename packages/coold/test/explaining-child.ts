// Answers, for tests, in a network namespace of its own: flows as JSON in, what is said of each out.
import { type ExplainedFlow, explainFlow, UnsteadyError } from '../src/firewall/explain/explain-flow.ts';
import { noIndex, type RuleIndex } from '../src/firewall/explain/kernel-ruleset.ts';
import { findWay, positionOf } from '../src/firewall/explain/packet/find-way.ts';
import { readLegacyTables } from '../src/firewall/netlink/legacy-tables.ts';
import { loadNetlink } from '../src/firewall/netlink/netlink-socket.ts';
import { loadXtTables } from '../src/firewall/netlink/xt-socket.ts';

interface Question {
  src: string;
  dst: string;
  proto?: 'tcp' | 'udp';
  port?: number;
}

/** `--handles=1,2`: where rules of the allow chain are said to be. */
const [, given] = /^--handles=([\d,]+)$/.exec(process.argv[2] ?? '') ?? [];
/** `--may-give-up`: a question during which the rules kept changing is answered by `gaveUp`, and the next is asked. */
const mayGiveUp = process.argv[2] === '--may-give-up';
const index: RuleIndex =
  given === undefined
    ? noIndex
    : {
        handles: async ({ chain }) => (chain === 'COOLIFY-ALLOW' ? given.split(',').map(Number) : undefined),
      };
const [open, readTable] = [loadNetlink(), loadXtTables()];
if (open === undefined || readTable === undefined) throw new Error('this Node cannot call C');
const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
const questions = JSON.parse(Buffer.concat(chunks).toString()) as Question[];
using routes = open('routes');
for (const { src, dst, proto, port } of questions) {
  const [from, to] = [positionOf(routes, src, 'wg0'), positionOf(routes, dst, 'wg0')];
  const { way, sourceLink, problem } = await findWay(routes, { src, dst, proto, port }, from, to, 'wg0');
  const begun = performance.now();
  const readers = { open, legacy: () => readLegacyTables(readTable), index, chainName: 'COOLIFY-ALLOW' };
  let explained: ExplainedFlow = { hops: [], ruleOpens: undefined };
  let gaveUp: string | undefined;
  try {
    if (way !== undefined) explained = await explainFlow({ src, dst, proto, port }, way, sourceLink, readers);
  } catch (error) {
    if (!mayGiveUp || !(error instanceof UnsteadyError)) throw error;
    gaveUp = error.message;
  }
  process.stdout.write(
    `${JSON.stringify({ ...explained, problem, gaveUp, ms: performance.now() - begun })}\n`,
  );
}
