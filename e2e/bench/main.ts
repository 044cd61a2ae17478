// `npm run bench -- NAME… [--json] [--quick] [--record]`: measures, and says how it compares; never passes or fails by a
// figure. With --record all of them, into docs/benchmarks.md.
import { writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { buildSuite } from './build.ts';
import { discoverySuite } from './discovery.ts';
import { dispatchSuite } from './dispatch.ts';
import { dnsSuite } from './dns.ts';
import { firewallSuite } from './firewall.ts';
import { renderPage, renderTable } from './report.ts';
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
const record = args.includes('--record');
const names = args.filter(arg => arg !== '--json' && arg !== '--quick' && arg !== '--record');
if (record && (quick || names.length > 0)) {
  process.stderr.write('bench: --record takes a whole run: no suite, and not --quick\n');
  process.exit(2);
}
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
const report = { machine, results };
process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : renderTable(report));
if (record) {
  const summaries = new Map([...suites].map(([name, { summary }]) => [name, summary]));
  const page = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url));
  await writeFile(page, renderPage(report, new Date().toISOString().slice(0, 10), summaries));
}
process.exit(0);
