import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { describe, expect, it } from 'vitest';
import { median, summarise } from './load.ts';
import type { SuiteResult } from './suite.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const bench = (...args: string[]) => runChild(process.execPath, [main, ...args], { timeoutMs: 200_000 });

describe('the benchmarks', () => {
  it('measure the lane and its peers and say how they compare', async () => {
    const { code, stdout, stderr } = await bench('dispatch', '--quick', '--json');
    expect(code, stderr).toBe(0);
    const figure = expect.any(Number);
    expect(JSON.parse(stdout)).toEqual({
      machine: {
        cpu: expect.any(String),
        cores: figure,
        memory_gib: figure,
        kernel: expect.any(String),
        node: process.version,
      },
      results: {
        dispatch: {
          rows: [
            {
              subject: expect.stringContaining('broker'),
              requests: figure,
              rate: figure,
              p50: figure,
              p99: figure,
            },
            {
              subject: expect.stringContaining('one at a time'),
              requests: figure,
              rate: figure,
              p50: figure,
              p99: figure,
            },
            {
              subject: expect.stringContaining('bare'),
              requests: figure,
              rate: figure,
              p50: figure,
              p99: figure,
            },
            {
              subject: expect.stringContaining('nats-server'),
              requests: figure,
              rate: figure,
              p50: figure,
              p99: figure,
            },
          ],
          ratios: [
            { what: expect.any(String), value: figure, aim: 'at least 1.3' },
            { what: expect.stringContaining('nats-server'), value: figure, aim: expect.any(String) },
          ],
          figures: ['64 at a time', 'one at a time', 'bare echo'].map(what => ({
            what: expect.stringContaining(what),
            value: figure,
            unit: 'µs',
            aim: '',
          })),
        },
      },
    });
  }, 90_000);

  it('measure discovery and report it against its aims', async () => {
    const { code, stdout, stderr } = await bench('discovery', '--quick', '--json');
    expect(code, stderr).toBe(0);
    const figure = expect.any(Number);
    const { discovery } = (JSON.parse(stdout) as { results: Record<string, unknown> }).results;
    const row = {
      subject: expect.stringContaining('started'),
      requests: 3,
      rate: figure,
      p50: figure,
      p99: figure,
    };
    const limit = {
      what: expect.any(String),
      value: figure,
      unit: expect.any(String),
      aim: expect.any(String),
    };
    const list = { subject: expect.stringContaining('list of'), requests: figure, rate: figure };
    const ratio = { what: expect.stringContaining('containers.list'), value: figure, aim: 'at most 2' };
    expect(discovery).toEqual({
      rows: [
        row,
        row,
        row,
        row,
        { ...list, p50: figure, p99: figure },
        { ...list, p50: figure, p99: figure },
      ],
      ratios: [ratio],
      figures: [limit, limit, limit, limit],
    });
  }, 90_000);

  it('measure a build and the bare tools it is made of', async () => {
    const { code, stdout, stderr } = await bench('build', '--quick', '--json');
    expect(code, stderr).toBe(0);
    const { rows, ratios, figures } = JSON.parse(stdout).results.build;
    const measured = (subject: string) =>
      expect.objectContaining({ requests: 1, subject: expect.stringContaining(subject) });
    for (const subject of ['builder, as packaged', 'its network', 'buildah bud', 'buildah push'])
      expect(rows).toContainEqual(measured(subject));
    expect(ratios).toContainEqual(expect.objectContaining({ value: expect.any(Number), aim: 'at most 1' }));
    expect(figures[0]).toMatchObject({ what: expect.stringContaining('known again'), value: 100 });
  }, 170_000);

  it('measure a fleet, a broker restart in it and a flood of requests', async () => {
    const { code, stdout, stderr } = await bench('streams', '--quick', '--json');
    expect(code, stderr).toBe(0);
    const { streams } = (JSON.parse(stdout) as { results: Record<string, SuiteResult> }).results;
    expect(streams?.ratios).toMatchObject([
      { what: expect.stringContaining('p99'), value: expect.any(Number) },
    ]);
    const figure = (what: string) => streams?.figures?.find(found => found.what.includes(what))?.value;
    expect(figure('40 hosts, after a dispatch to each: resident')).toBeGreaterThan(20);
    expect(figure('100 % of 40 hosts back')).toBeGreaterThan(0);
    expect(figure('dispatch without an answer')).toBe(0);
    expect(figure('hosts refused')).toBe(0);
    expect(figure('refusal of one more')).toBeGreaterThan(0);
  }, 240_000);

  it('refuse an unknown name and list the known ones', async () => {
    expect(await bench('nothing')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^bench: no suite "nothing": one of dispatch, /),
    });
  });
});

describe('figures', () => {
  it('are percentiles of the sorted latencies', () => {
    const latencies = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(summarise(latencies, 1000)).toEqual({ requests: 200, rate: 200, p50: 101, p99: 199 });
  });

  it('are the median of several rounds, each figure by itself', () => {
    const round = (n: number) => ({ requests: 1, rate: n, p50: 10 - n, p99: n });
    expect(median([round(3), round(1), round(2)])).toEqual({ requests: 3, rate: 2, p50: 8, p99: 2 });
  });
});
