import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { parseFlows } from '../flows.ts';
import { asEvent } from '../follow-events.ts';
import type { Seen } from '../seen.ts';
import { openStage } from '../stage.ts';
import { parseCast } from './asciicast.ts';
import { draw, leastSize } from './draw.ts';
import { asSvg, readFrames } from './picture.ts';
import { asAnsi, type Line } from './styled.ts';

const seen: Seen = {
  at: 75,
  step: {
    number: 6,
    of: 14,
    title: 'replace version 1 by version 2, which is a title that is longer than the screen is wide',
  },
  hosts: [
    {
      name: 'host-1',
      power: 'on',
      containers: ['web-2'],
      broker: 'broker-2',
      coold: {
        connected: true,
        wg0: true,
        mode: 'enforcing',
        rules: 1,
        rows: 3,
        hostsGone: [],
        questions: 4,
      },
      flows: { allowed: 12, denied: 3 },
    },
    {
      name: 'host-2',
      power: 'on',
      containers: undefined,
      broker: undefined,
      coold: undefined,
      flows: undefined,
    },
    {
      name: 'host-3',
      power: 'off',
      containers: undefined,
      broker: undefined,
      coold: undefined,
      flows: undefined,
    },
  ],
  brokers: [
    { id: 'broker-1', on: 'host-1', status: undefined },
    { id: 'broker-2', on: 'host-2', status: { hosts: 3, dispatched: 120, perSecond: 4, p99Ms: 7.6 } },
  ],
  name: {
    name: 'web.default.coolify.internal',
    answers: ['10.210.0.12 (host-1)'],
    leftOut: ['10.210.2.13 (host-3, host_gone)'],
  },
  seconds: [
    { v1: 4, v2: 0, failed: 0 },
    { v1: 2, v2: 6, failed: 1 },
  ],
  total: { v1: 6, v2: 6, failed: 1 },
  events: [{ host: 'host-1', type: 'container.health', text: 'web-2 healthy', at: 74 }],
  told: [{ at: 70, text: 'all is up' }],
};
const textOf = (lines: readonly Line[]) => lines.map(line => line.map(({ text }) => text).join(''));

it('draws hosts, brokers, the name, requests and what happened on 80 × 24', () => {
  const lines = textOf(draw(seen, leastSize));
  expect(lines).toHaveLength(24);
  expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(80);
  expect(lines.map(line => line.trimEnd())).toMatchInlineSnapshot(`
    [
      "coold demo: three hosts, one mesh, two brokers                              75 s",
      "[6/14] replace version 1 by version 2, which is a title that is longer than the",
      "  screen is wide",
      "HOST    POWER WG0   STREAM    DENY       RULES ALLOWED/S DENIED/S RUNNING",
      "host-1  on    up    broker-2  enforcing  1     12        3        web-2",
      "host-2  on    -     -         -          -     -         -        -",
      "host-3  off",
      "",
      "BROKER    ON      STATE  HOSTS  DISPATCHES  /S   P99",
      "broker-1  host-1  down",
      "broker-2  host-2  up     3      120         4    8 ms",
      "",
      "NAME web.default.coolify.internal, as host-2 answers it",
      "10.210.0.12 (host-1)  left out: 10.210.2.13 (host-3, host_gone)",
      "",
      "REQUESTS  ▅█",
      "9/s now: 2 version 1, 6 version 2, 1 without an answer    in all 13: 6, 6, 1",
      "",
      "WHAT HAPPENED",
      "  70 s  all is up",
      "  74 s  host-1  container.health  web-2 healthy",
      "",
      "",
      "",
    ]
  `);
});

it('fills a larger screen, and cuts text that does not fit', () => {
  expect(draw(seen, { columns: 120, rows: 40 })).toHaveLength(40);
  const many = Array.from({ length: 30 }, (_, at) => ({ at, text: `line ${at}` }));
  const lines = textOf(draw({ ...seen, told: many, events: [] }, leastSize));
  expect(lines.at(-1)).toContain('line 29');
});

it('has no colours when none are wanted', () => {
  const [line = []] = draw(seen, leastSize);
  expect(asAnsi(line, true)).toContain('\u001b[1m');
  expect(asAnsi(line, false)).not.toContain('\u001b');
});

function stageOn(
  output: { isTTY?: boolean; columns?: number; rows?: number },
  env: Record<string, string> = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'coold-demo-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const record = join(folder, 'cast');
  let written = '';
  {
    using stage = openStage({
      output: { ...output, write: (text: string) => (written += text) },
      env,
      record,
    });
    stage.say('begun');
    stage.step(1, 2, 'the first');
    stage.refresh(seen);
  }
  return { written, recording: readFileSync(record, 'utf8') };
}

it('prints lines without a terminal, and says why on one that is too small', () => {
  const plain = stageOn({});
  expect(plain.written).not.toContain('\u001b');
  expect(plain.written).toMatch(/^demo: +\d+\.\d s {2}begun\ndemo: +\d+\.\d s {2}\[ 1\/2\] the first\n$/);
  const small = stageOn({ isTTY: true, columns: 60, rows: 20 });
  expect(small.written).toContain('lines instead of a screen: it needs 80×24');
  expect(stageOn({ isTTY: true, columns: 80, rows: 24 }, { TERM: 'dumb' }).written).not.toContain('\u001b');
});

it('draws a screen on a terminal and restores it afterwards; NO_COLOR removes colours', () => {
  const terminal = { isTTY: true, columns: 80, rows: 24 };
  const colored = stageOn(terminal).written;
  expect(colored).toContain('\u001b[33m');
  expect(colored.endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is how colours begin
  expect(stageOn(terminal, { NO_COLOR: '1' }).written).not.toMatch(/\u001b\[\d+m/);
});

it('records what a terminal of 80 × 24 would have shown, and makes a picture of it', () => {
  const cast = parseCast(stageOn({}).recording);
  expect(cast).toMatchObject({ width: 80, height: 24 });
  const last = textOf(readFrames(cast).at(-1)?.rows ?? []);
  // The clock in the first line changes.
  expect(last.slice(3)).toEqual(
    textOf(draw({ ...seen, told: [] }, leastSize))
      .slice(3, 17)
      .concat(last.slice(17)),
  );
  const svg = asSvg(cast, 2);
  expect(svg).toContain('web.default.coolify.internal');
  expect(svg).not.toContain('\u001b');
});

it('refuses recordings of other programs', () => {
  const recording = (...lines: unknown[]) => lines.map(line => JSON.stringify(line)).join('\n');
  expect(() => parseCast(recording({ version: 1 }))).toThrow('asciicast v2');
  const other = parseCast(recording({ version: 2, width: 80, height: 24 }, [0.1, 'o', 'hello']));
  expect(() => asSvg(other, 1)).toThrow('not written by the demo');
});

it(`reads nft's counters and hosts' events`, () => {
  const table = 'chain tried { counter packets 12 bytes 720 }\nchain passed { counter packets 9 bytes 540 }';
  expect(parseFlows(table)).toEqual({ tried: 12, passed: 9 });
  expect(parseFlows('')).toBeUndefined();
  const container = { name: 'web-1', state: 'running', health: 'healthy' };
  expect(asEvent('a', { type: 'container.health', container })).toEqual({
    host: 'a',
    type: 'container.health',
    text: 'web-1 healthy',
  });
  expect(asEvent('a', { type: 'alive' })).toBeUndefined();
});
