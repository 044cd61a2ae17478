import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createProgressEncoder, type Frame, maxLogLength } from './frames.ts';

const parse = (lines: string[]) =>
  lines.map(line => JSON.parse(line) as Extract<Frame, { type: 'progress' }>);

it('is one JSON object per line for any output, without loss', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), log => {
      const lines = createProgressEncoder()({ stage: 'git', percent: 5, log });
      for (const line of lines) expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(
        parse(lines)
          .map(frame => frame.log)
          .join(''),
      ).toBe(log);
    }),
  );
});

it('cuts a long log into frames, never through a character', () => {
  const log = `x${'😀'.repeat(maxLogLength)}`;
  const frames = parse(createProgressEncoder()({ stage: 'buildah', percent: 50, log }));
  expect(frames.length).toBeGreaterThan(1);
  for (const { log: part } of frames) {
    expect(part.length).toBeLessThanOrEqual(maxLogLength);
    expect(part.isWellFormed()).toBe(true);
  }
  expect(frames.map(frame => frame.log).join('')).toBe(log);
});

it('ends the log at its limit with one line about it, and continues with stages and percentages', () => {
  const encode = createProgressEncoder(1000);
  const frames = Array.from({ length: 100 }, (_, i) =>
    parse(encode({ stage: 'buildah', percent: i, log: 'x'.repeat(50) })),
  );
  const all = frames.flat();
  expect(all.filter(({ log }) => log.includes('is not kept'))).toHaveLength(1);
  expect(all.map(frame => JSON.stringify(frame).length + 1).reduce((a, b) => a + b)).toBeLessThan(1200);
  expect(parse(encode({ stage: 'digest', percent: 100, log: '' }))).toEqual([
    { type: 'progress', stage: 'digest', log: '', percent: 100 },
  ]);
});
