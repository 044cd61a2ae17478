import { expect, test } from 'vitest';
import { type Report, renderPage, renderTable } from './report.ts';

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

test('for a person at a terminal', () => {
  expect(renderTable(report)).toBe(`2 × a processor, 24 GiB, Linux 6.1, Node v26.0.0

dns        req/s    p50 ms    p99 ms
coold       1000      0.50     12.35
ratio: coold over a|b: 0.76 (aim: at least 0.75)
memory: 12 MB (aim: below 20)
growth: -1.25 MB
`);
});

test('as the page of the documentation', () => {
  expect(renderPage(report, '2026-01-31', new Map([['dns', 'questions and answers']]))).toBe(`# Benchmarks

Measured on 2026-01-31 by \`npm run bench -- --record\`, which wrote this page: 2 × a processor, 24 GiB, Linux 6.1, Node v26.0.0. Every subject and its peers
ran in the same run, the load on the same machine; a ratio says more than the figures it is made of.

## dns

Questions and answers.

| | req/s | p50 ms | p99 ms |
|---|---:|---:|---:|
| coold | 1000 | 0.50 | 12.35 |

| | measured | aim |
|---|---:|---|
| ratio: coold over a\\|b | 0.76 | at least 0.75 |
| memory | 12 MB | below 20 |
| growth | -1.25 MB |  |
`);
});
