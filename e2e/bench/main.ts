// `npm run bench -- NAME… [--json] [--quick]`: measures, and says how it compares; never passes or fails by a figure.
import { cpus, release, totalmem } from 'node:os';
import { buildSuite } from './build.ts';
import { discoverySuite } from './discovery.ts';
import { dispatchSuite } from './dispatch.ts';
import { dnsSuite } from './dns.ts';
import { firewallSuite } from './firewall.ts';
import { streamsSuite } from './streams.ts';
import type { Suite, SuiteResult } from './suite.ts';
import { verbsSuite } from './verbs.ts';

const suites = new Map<string, Suite>(
  [dispatchSuite, streamsSuite, verbsSuite, firewallSuite, discoverySuite, dnsSuite, buildSuite].map(
    suite => [suite.name, suite],
  ),
);

const args = process.argv.slice(2);
const json = args.includes('--json');
const quick = args.includes('--quick');
const names = args.filter(arg => arg !== '--json' && arg !== '--quick');
const unknown = names.find(name => !suites.has(name));
if (unknown !== undefined) {
  process.stderr.write(`bench: no suite "${unknown}": one of ${[...suites.keys()].join(', ')}\n`);
  process.exit(2);
}

const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memory_gib: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
};
const results: Record<string, SuiteResult> = {};
for (const suite of names.length > 0 ? names.map(name => suites.get(name)) : suites.values()) {
  if (suite === undefined) continue;
  process.stderr.write(`bench: ${suite.name}: ${suite.summary}\n`);
  results[suite.name] = await suite.run(quick);
}
process.stdout.write(json ? `${JSON.stringify({ machine, results }, null, 2)}\n` : table());
process.exit(0);

function table(): string {
  const lines = [
    `${machine.cores} × ${machine.cpu}, ${machine.memory_gib} GiB, Linux ${machine.kernel}, Node ${machine.node}`,
  ];
  for (const [name, { rows, ratios, figures = [] }] of Object.entries(results)) {
    const width = Math.max(name.length, ...rows.map(({ subject }) => subject.length));
    lines.push('', `${name.padEnd(width)}      req/s    p50 ms    p99 ms`);
    for (const { subject, rate, p50, p99 } of rows) {
      const figures = [rate.toFixed(0), p50.toFixed(2), p99.toFixed(2)].map(figure => figure.padStart(10));
      lines.push(`${subject.padEnd(width)} ${figures.join('')}`);
    }
    for (const { what, value, aim } of ratios)
      lines.push(`ratio: ${what}: ${value.toFixed(2)} (aim: ${aim})`);
    for (const { what, value, unit, aim } of figures)
      lines.push(
        `${what}: ${value.toFixed(value < 10 ? 2 : 0)} ${unit}${aim === '' ? '' : ` (aim: ${aim})`}`,
      );
  }
  return `${lines.join('\n')}\n`;
}
