import { expect, it } from 'vitest';
import type { Logger } from './logger.ts';
import { rememberLines } from './remember-lines.ts';

it('remembers the last warnings and errors, also of children, and logs them all the same', () => {
  const logged: unknown[] = [];
  const write = (...args: unknown[]) => void logged.push(args.at(-1));
  const inner: Logger = {
    ...({ trace: write, debug: write, info: write, warn: write, error: write } as unknown as Logger),
    child: () => inner,
  };
  const { log, recent } = rememberLines(inner, 2, () => new Date(0));
  log.warn('first');
  log.info({ reason: 'fine' }, 'not one');
  log.child('part').error({ err: new Error('broken'), secret: 's' }, 'second');
  log.child('part').child('of it').warn({ reason: 'late' }, 'x'.repeat(1000));
  const at = '1970-01-01T00:00:00.000Z';
  expect(recent()).toEqual([
    { at, level: 'warn', message: 'x'.repeat(300), reason: 'late' },
    { at, level: 'error', message: 'second', reason: 'broken' },
  ]);
  expect(logged).toEqual(['first', 'not one', 'second', 'x'.repeat(1000)]);
});
