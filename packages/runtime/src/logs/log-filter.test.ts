import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { levelOf, logFilter } from './log-filter.ts';

function filter(text: string) {
  const parsed = logFilter.parse(text);
  if (parsed === undefined) throw new Error(`${text}: ${logFilter.expected}`);
  return parsed;
}

describe('a filter', () => {
  it.each([
    ['info', 'info', {}],
    ['WARN', 'warn', {}],
    ['off', 'off', {}],
    ['info,broker=debug', 'info', { broker: 'debug' }],
    [' warn , broker.link=trace', 'warn', { 'broker.link': 'trace' }],
    ['broker=debug', 'info', { broker: 'debug' }],
    ['coold::dns=Error', 'info', { 'coold.dns': 'error' }],
    ['info,debug', 'debug', {}],
    ['a=info,a=debug', 'info', { a: 'debug' }],
  ])('%j has its level and its components', (text, level, components) => {
    expect(filter(text)).toEqual({ level, components: new Map(Object.entries(components)) });
  });

  it.each([
    '',
    ',',
    'info,',
    'loud',
    'broker=',
    '=info',
    'broker=loud',
    'a b=info',
    'a=b=info',
    'info;debug',
  ])('%j is refused', text => {
    expect(logFilter.parse(text)).toBeUndefined();
  });
});

describe('the level of a component', () => {
  it.each([
    ['coold', 'info'],
    ['broker', 'debug'],
    ['broker.hosts', 'debug'],
    ['broker.lane', 'error'],
    ['broker.lane.socket', 'error'],
    ['broker.lanes', 'debug'],
    ['brokers', 'info'],
    ['', 'info'],
    ['.broker', 'info'],
  ])('of %j is that of the longest name it lies below', (component, level) => {
    expect(levelOf(filter('info,broker=debug,broker.lane=error'), component)).toBe(level);
  });

  it('applies to a named component at any depth, and to no other', () => {
    const name = fc.stringMatching(/^[a-z]{1,5}$/);
    fc.assert(
      fc.property(name, fc.array(name, { maxLength: 4 }), (root, below) => {
        const named = filter(`warn,${root}=trace`);
        expect(levelOf(named, [root, ...below].join('.'))).toBe('trace');
        expect(levelOf(named, [`${root}x`, ...below].join('.'))).toBe('warn');
      }),
    );
  });
});
