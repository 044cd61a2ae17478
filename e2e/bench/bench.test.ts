import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { describe, expect, it } from 'vitest';
import { median, summarise } from './load.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const bench = (...args: string[]) => runChild(process.execPath, [main, ...args], { timeoutMs: 60_000 });

describe('the benchmarks', () => {
  it('measure the lane and its peer and say how they compare', async () => {
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
              subject: expect.stringContaining('bare'),
              requests: figure,
              rate: figure,
              p50: figure,
              p99: figure,
            },
          ],
          ratios: [{ what: expect.any(String), value: figure, aim: 'at least 0.8' }],
        },
      },
    });
  }, 90_000);

  it('that nobody has written are named with those there are', async () => {
    expect(await bench('nothing')).toMatchObject({
      code: 2,
      stderr: 'bench: no suite "nothing": one of dispatch, verbs, build\n',
    });
  });
});

describe('figures', () => {
  it('are of the latencies in order', () => {
    const latencies = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(summarise(latencies, 1000)).toEqual({ requests: 200, rate: 200, p50: 101, p99: 199 });
  });

  it('are the middle of several rounds, one by one', () => {
    const round = (n: number) => ({ requests: 1, rate: n, p50: 10 - n, p99: n });
    expect(median([round(3), round(1), round(2)])).toEqual({ requests: 3, rate: 2, p50: 8, p99: 2 });
  });
});
