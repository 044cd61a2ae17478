import { expect, it } from 'vitest';
import { createRepeatedWarning } from './repeated-warning.ts';

it('warns of a reason once, of another one at once, and of one that stays once an hour', () => {
  const lines: [string, object, string | undefined][] = [];
  const write = (level: string) => (fields: object, line?: string) => void lines.push([level, fields, line]);
  let now = 0;
  const warning = createRepeatedWarning(
    { warn: write('warn') as never, error: write('error') as never, debug: write('debug') as never },
    { now: () => now },
  );
  const say = (reason: string) => warning.warn(reason, { retry_in_ms: 5 }, 'cannot listen yet');
  const levels = () => lines.splice(0).map(([level]) => level);
  say('taken');
  expect(lines).toEqual([['warn', { reason: 'taken', retry_in_ms: 5 }, 'cannot listen yet']]);
  for (now = 30_000; now < 3_600_000; now += 30_000) say('taken');
  expect(new Set(levels().slice(1))).toEqual(new Set(['debug']));
  say('taken');
  say('taken');
  expect(levels(), 'an hour later').toEqual(['warn', 'debug']);
  say('no such address');
  say('taken');
  expect(levels(), 'each change').toEqual(['warn', 'warn']);
  say('taken');
  warning.over();
  say('taken');
  expect(levels(), 'once it was over in between').toEqual(['debug', 'warn']);
});

it('says what is an error as one', () => {
  const levels: string[] = [];
  const write = (level: string) => () => void levels.push(level);
  const warning = createRepeatedWarning(
    { warn: write('warn'), error: write('error'), debug: write('debug') } as never,
    { level: 'error' },
  );
  for (let times = 0; times < 3; times += 1) warning.warn('nft is missing', {}, 'trying again');
  expect(levels).toEqual(['error', 'debug', 'debug']);
});
