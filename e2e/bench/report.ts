import type { SuiteResult } from './suite.ts';

/** The machine on which the figures were measured. */
export interface MachineFacts {
  cpu: string;
  cores: number;
  memory_gib: number;
  kernel: string;
  node: string;
}

export interface Report {
  machine: MachineFacts;
  results: Record<string, SuiteResult>;
}

const machineLine = ({ cores, cpu, memory_gib, kernel, node }: MachineFacts) =>
  `${cores} × ${cpu}, ${memory_gib} GiB, Linux ${kernel}, Node ${node}`;
const round = (value: number) => value.toFixed(Math.abs(value) < 10 ? 2 : 0);

/** Renders a report as a table for a terminal. */
export function renderTable({ machine, results }: Report): string {
  const lines = [machineLine(machine)];
  for (const [name, { rows, ratios, figures = [] }] of Object.entries(results)) {
    const width = Math.max(name.length, ...rows.map(({ subject }) => subject.length));
    lines.push('', `${name.padEnd(width)}      req/s    p50 ms    p99 ms`);
    for (const { subject, rate, p50, p99 } of rows) {
      const cells = [rate.toFixed(0), p50.toFixed(2), p99.toFixed(2)].map(cell => cell.padStart(10));
      lines.push(`${subject.padEnd(width)} ${cells.join('')}`);
    }
    for (const { what, value, aim } of ratios)
      lines.push(`ratio: ${what}: ${value.toFixed(2)} (aim: ${aim})`);
    for (const { what, value, unit, aim } of figures)
      lines.push(`${what}: ${round(value)} ${unit}${aim === '' ? '' : ` (aim: ${aim})`}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Renders a suite's section of `docs/benchmarks.md`. @param day as 2026-01-31 */
export function renderSection(
  name: string,
  { rows, ratios, figures = [] }: SuiteResult,
  { day, machine, summary }: { day: string; machine: MachineFacts; summary: string },
): string {
  const parts = [
    `## ${name}`,
    '',
    `${capital(summary)}.`,
    '',
    `Measured on ${day}: ${machineLine(machine)}.`,
  ];
  if (rows.length > 0)
    parts.push(
      ...['', '| | req/s | p50 ms | p99 ms |', '|---|---:|---:|---:|'],
      ...rows.map(
        ({ subject, rate, p50, p99 }) =>
          `| ${cell(subject)} | ${rate.toFixed(0)} | ${p50.toFixed(2)} | ${p99.toFixed(2)} |`,
      ),
    );
  const found = [
    ...ratios.map(({ what, value, aim }) => ({ what: `ratio: ${what}`, value: value.toFixed(2), aim })),
    ...figures.map(({ what, value, unit, aim }) => ({ what, value: `${round(value)} ${unit}`, aim })),
  ];
  parts.push(
    ...['', '| | measured | aim |', '|---|---:|---|'],
    ...found.map(({ what, value, aim }) => `| ${cell(what)} | ${value} | ${cell(aim)} |`),
  );
  return `${parts.join('\n')}\n`;
}

const head = `# Benchmarks

\`npm run bench -- --record\` writes this page; \`npm run bench -- --record NAME…\` measures these suites anew and keeps the
others. Every subject of a suite and its peers ran in the same run, the load on the same machine; a ratio says more than the
figures it is made of. Not every run had the machine to itself, so compare figures within one suite only.
`;

/**
 * Returns the new text of `docs/benchmarks.md`.
 *
 * @param page its current text
 * @param measured the new sections by suite
 * @param suites in the order of the page
 */
export function renderPage(
  page: string,
  measured: ReadonlyMap<string, string>,
  suites: readonly string[],
): string {
  const kept = new Map(
    page
      .split(/^(?=## )/m)
      .slice(1)
      .map(section => [/^## (.*)/.exec(section)?.[1] ?? '', `${section.trimEnd()}\n`]),
  );
  const sections = suites.flatMap(name => measured.get(name) ?? kept.get(name) ?? []);
  return [head, ...sections].join('\n');
}

const cell = (text: string) => text.replaceAll('|', '\\|');
const capital = (text: string) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
