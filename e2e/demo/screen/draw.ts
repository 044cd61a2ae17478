// Draws the demo's screen from plain data. Pure.
import type { BrokerSeen, HostSeen, NameSeen, Seen } from '../seen.ts';
import { type Counts, requestsOf } from '../visits.ts';
import { column, cut, type Line, type Style, span } from './styled.ts';

/** The smallest size that the screen fits into. */
export const leastSize = { columns: 80, rows: 24 } as const;

export interface Size {
  columns: number;
  rows: number;
}

/** @returns exactly as many lines as the screen has rows, none wider than it */
export function draw(seen: Seen, { columns, rows }: Size): Line[] {
  const { hosts, brokers, name, seconds, total, events, told } = seen;
  const head: Line[] = [
    title(seen, columns),
    ...step(seen, columns),
    hostHeading,
    ...hosts.map(hostLine),
    [],
    brokerHeading,
    ...brokers.map(brokerLine),
    [],
    ...nameLines(name),
    [],
    graph(seconds, columns),
    rates(seconds.at(-1), total),
    [],
  ];
  const news: Line[] = [
    ...told.map(({ at, text }) => ({ at, line: [clock(at), span(text)] })),
    ...events.map(({ at, host, type, text }) => ({
      at,
      line: [clock(at), column(host, 8), column(type, 18, 'dim'), span(text)],
    })),
  ]
    .toSorted((a, b) => a.at - b.at)
    .map(({ line }) => line);
  const room = Math.max(0, rows - head.length - 1);
  const lines = [...head, heading('WHAT HAPPENED'), ...(room === 0 ? [] : news.slice(-room))];
  return Array.from({ length: rows }, (_, row) => cut(lines[row] ?? [], columns));
}

function title({ at }: Seen, columns: number): Line {
  const [left, right] = ['coold demo: three hosts, one mesh, two brokers', `${at.toFixed(0)} s`];
  return [span(left.padEnd(columns - right.length), 'bold'), span(right, 'bold')];
}

/** The current step in exactly two lines, whether or not the text fills them. */
function step({ step: current }: Seen, columns: number): Line[] {
  if (current === undefined) return [[span('getting ready', 'warn')], []];
  const { number, of, title: text } = current;
  const words = `[${number}/${of}] ${text}`;
  if (words.length <= columns) return [[span(words, 'warn')], []];
  const end = words.lastIndexOf(' ', columns);
  return [[span(words.slice(0, end), 'warn')], [span(`  ${words.slice(end + 1)}`, 'warn')]];
}

const heading = (text: string): Line => [span(text, 'dim')];

const hostHeading = heading('HOST    POWER WG0   STREAM    DENY       RULES ALLOWED/S DENIED/S RUNNING');

function hostLine({ name, power, coold, broker, flows, containers }: HostSeen): Line {
  if (power === 'off') return [column(name, 8), span('off', 'bad')];
  const wg0 = coold === undefined ? '-' : coold.wg0 ? 'up' : 'down';
  const stream = coold?.connected === false ? 'none' : (broker ?? '-');
  return [
    ...[column(name, 8), column('on', 6, 'good')],
    column(wg0, 6, judged(wg0, 'up', 'down')),
    column(stream, 10, stream.startsWith('broker') ? 'good' : 'bad'),
    column(coold?.mode ?? '-', 11, judged(coold?.mode, 'enforcing', 'broken')),
    column(String(coold?.rules ?? '-'), 6),
    column(String(flows?.allowed ?? '-'), 10, (flows?.allowed ?? 0) > 0 ? 'good' : 'dim'),
    column(String(flows?.denied ?? '-'), 9, (flows?.denied ?? 0) > 0 ? 'bad' : 'dim'),
    span(containers?.join(' ') ?? '-'),
  ];
}

function judged(word: string | undefined, good: string, bad: string): Style {
  return word === good ? 'good' : word === bad ? 'bad' : 'warn';
}

const brokerHeading = heading('BROKER    ON      STATE  HOSTS  DISPATCHES  /S   P99');

function brokerLine({ id, on, status }: BrokerSeen): Line {
  if (status === undefined) return [column(id, 10), column(on, 8), span('down', 'bad')];
  const { hosts, dispatched, perSecond, p99Ms } = status;
  return [
    ...[column(id, 10), column(on, 8), column('up', 7, 'good')],
    ...[column(String(hosts), 7), column(String(dispatched), 12), column(String(perSecond), 5)],
    span(p99Ms === null ? '-' : `${p99Ms.toFixed(0)} ms`),
  ];
}

function nameLines(name: NameSeen | undefined): Line[] {
  if (name === undefined) return [heading('NAME'), []];
  const answers =
    name.answers.length === 0 ? [span('no address', 'warn')] : [span(name.answers.join('  '), 'good')];
  const leftOut = name.leftOut.length === 0 ? [] : [span(`  left out: ${name.leftOut.join('  ')}`, 'bad')];
  return [heading(`NAME ${name.name}, as host-2 answers it`), [...answers, ...leftOut]];
}

const bars = '▁▂▃▄▅▆▇█';

/** A bar per second: its height shows the answered requests; it is red when a request failed. */
function graph(seconds: readonly Counts[], columns: number): Line {
  const shown = seconds.slice(-(columns - 10));
  const most = Math.max(1, ...shown.map(({ v1, v2 }) => v1 + v2));
  const bar = ({ v1, v2 }: Counts) => bars[Math.ceil(((v1 + v2) / most) * (bars.length - 1))] ?? ' ';
  return [
    span('REQUESTS  ', 'dim'),
    ...shown.map(second => span(bar(second), second.failed > 0 ? 'bad' : second.v2 > 0 ? 'good' : 'first')),
  ];
}

function rates(last: Counts | undefined, total: Counts): Line {
  if (last === undefined) return [span('nothing asks yet', 'dim')];
  return [
    ...[span(`${requestsOf(last)}/s now: `), span(`${last.v1} version 1`, 'first'), span(', ')],
    ...[span(`${last.v2} version 2`, 'good'), span(', ')],
    span(`${last.failed} without an answer`, last.failed > 0 ? 'bad' : 'plain'),
    span(`    in all ${requestsOf(total)}: ${total.v1}, ${total.v2}, ${total.failed}`, 'dim'),
  ];
}

function clock(at: number) {
  return span(`${at.toFixed(0).padStart(4)} s  `, 'dim');
}
