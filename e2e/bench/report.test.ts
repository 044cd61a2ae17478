import { expect, test } from 'vitest';
import { type Report, renderPage, renderSection, renderTable } from './report.ts';

const report: Report = {
  machine: { cpu: 'a processor', cores: 2, memory_gib: 24, kernel: '6.1', node: 'v26.0.0' },
  results: {
    dns: {
      rows: [{ subject: 'coold', requests: 5, rate: 1000.4, p50: 0.5, p99: 12.345 }],
      ratios: [{ what: 'coold over a|b', value: 0.756, aim: 'at least 0.75' }],
      figures: [
        { what: 'memory', value: 12.3, unit: 'MB', aim: 'below 20' },
        { what: 'growth', value: -1.25, unit: 'MB', aim: '' },
      ],
    },
  },
};

test('renders a table for a terminal', () => {
  expect(renderTable(report)).toBe(`2 × a processor, 24 GiB, Linux 6.1, Node v26.0.0

dns        req/s    p50 ms    p99 ms
coold       1000      0.50     12.35
ratio: coold over a|b: 0.76 (aim: at least 0.75)
memory: 12 MB (aim: below 20)
growth: -1.25 MB
`);
});

const { dns } = report.results;
const dnsSection = `## dns

Questions and answers.

Measured on 2026-01-31: 2 × a processor, 24 GiB, Linux 6.1, Node v26.0.0.

| | req/s | p50 ms | p99 ms |
|---|---:|---:|---:|
| coold | 1000 | 0.50 | 12.35 |

| | measured | aim |
|---|---:|---|
| ratio: coold over a\\|b | 0.76 | at least 0.75 |
| memory | 12 MB | below 20 |
| growth | -1.25 MB |  |
`;

test('renders a section of the documentation', () => {
  if (dns === undefined) throw new Error('the report has no dns');
  const facts = { day: '2026-01-31', machine: report.machine, summary: 'questions and answers' };
  expect(renderSection('dns', dns, facts)).toBe(dnsSection);
});

test('replaces measured sections and keeps the others', () => {
  const suites = ['build', 'dns', 'streams'];
  const page = renderPage(
    '',
    new Map([
      ['streams', '## streams\n\nfirst\n'],
      ['build', '## build\n\nfirst\n'],
    ]),
    suites,
  );
  expect(page).toMatch(/^# Benchmarks\n/);
  const again = renderPage(page, new Map([['streams', '## streams\n\nsecond\n']]), suites);
  expect(again).toBe(page.replace('## streams\n\nfirst', '## streams\n\nsecond'));
  const more = renderPage(again, new Map([['dns', dnsSection]]), suites);
  expect(more).toBe(again.replace('## streams', `${dnsSection}\n## streams`));
});
