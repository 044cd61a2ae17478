// `npm run bench -- NAME… [--json] [--quick] [--record] [--against=ARCHIVE]`: measures and reports ratios; it never
// passes or fails by a figure. --record rewrites the measured sections of docs/benchmarks.md. With --against, footprint
// and dispatch also measure another build: the archive that `npm run package` made in its checkout.
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { buildSuite } from './build.ts';
import { discoverySuite } from './discovery.ts';
import { dispatchSuite } from './dispatch.ts';
import { dnsSuite } from './dns.ts';
import { explainSuite } from './explain.ts';
import { firewallSuite } from './firewall.ts';
import { footprintSuite } from './footprint.ts';
import { renderPage, renderSection, renderTable } from './report.ts';
import { scaleSuite } from './scale.ts';
import { streamsSuite } from './streams.ts';
import type { Suite, SuiteResult } from './suite.ts';
import { verbsSuite } from './verbs.ts';

const suites = new Map<string, Suite>(
  [
    dispatchSuite,
    streamsSuite,
    scaleSuite,
    verbsSuite,
    firewallSuite,
    explainSuite,
    discoverySuite,
    dnsSuite,
    footprintSuite,
    buildSuite,
  ].map(suite => [suite.name, suite]),
);

const args = process.argv.slice(2);
const json = args.includes('--json');
const quick = args.includes('--quick');
const record = args.includes('--record');
const against = args.find(arg => arg.startsWith('--against='))?.slice('--against='.length);
const names = args.filter(
  arg => !['--json', '--quick', '--record'].includes(arg) && !arg.startsWith('--against='),
);
if (record && quick) {
  process.stderr.write('bench: --record takes a whole run, not --quick\n');
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
  results[suite.name] = await suite.run(quick, against);
}
const report = { machine, results };
process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : renderTable(report));
if (record) {
  const day = new Date().toISOString().slice(0, 10);
  const measured = new Map<string, string>();
  for (const [name, result] of Object.entries(results)) {
    const summary = suites.get(name)?.summary ?? name;
    measured.set(name, renderSection(name, result, { day, machine, summary }));
  }
  const page = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url));
  await writeFile(page, renderPage(await readFile(page, 'utf8'), measured, [...suites.keys()]));
}
process.exit(0);
