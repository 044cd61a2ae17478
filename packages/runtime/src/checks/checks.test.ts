import { describe, expect, it } from 'vitest';
import {
  type Check,
  checksExitCode,
  checksObject,
  fail,
  ok,
  renderChecks,
  runChecks,
  warn,
} from './checks.ts';

const check = (name: string, look: Check['look']): Check => ({ name, look });

describe('checks', () => {
  it('run concurrently, and are reported in their order', async () => {
    const second = Promise.withResolvers<void>();
    const lines = await runChecks([
      check('first', async () => {
        await second.promise;
        return ok('waited for the second');
      }),
      check('second', async () => {
        second.resolve();
        return [ok('one'), warn('two', 'mend it')];
      }),
    ]);
    expect(lines).toEqual([
      { check: 'first', level: 'ok', found: 'waited for the second' },
      { check: 'second', level: 'ok', found: 'one' },
      { check: 'second', level: 'warn', found: 'two', cure: 'mend it' },
    ]);
  });

  it('that throw or hang are warnings that say why, and hold up nothing else', async () => {
    let aborted = false;
    const lines = await runChecks(
      [
        check('throws', async () => {
          throw new Error('no such program');
        }),
        check('denied', async () => {
          throw Object.assign(new Error('not root'), { code: 'EPERM' });
        }),
        check('hangs', signal => {
          signal.addEventListener('abort', () => {
            aborted = true;
          });
          return new Promise(() => {});
        }),
        check('well', async () => ok('well')),
      ],
      50,
    );
    expect(lines.map(({ level, found }) => `${level}: ${found}`)).toEqual([
      'warn: not known: no such program',
      'warn: not known: not root',
      'warn: not known: no answer within 50 ms',
      'ok: well',
    ]);
    expect(lines[1]?.cure).toBe('run this as root');
    expect(aborted).toBe(true);
    expect(checksExitCode(lines)).toBe(0);
  });

  it('fail as soon as one of them does', () => {
    expect(checksExitCode([])).toBe(0);
    expect(checksExitCode([{ check: 'a', ...warn('x', 'y') }])).toBe(0);
    expect(
      checksExitCode([
        { check: 'a', ...ok('x') },
        { check: 'b', ...fail('x', 'y') },
      ]),
    ).toBe(1);
  });

  it('are shown a line each with the cure below, without control characters of others', () => {
    const lines = [
      { check: 'a', ...ok('well') },
      { check: 'longer', ...fail('held by \u001b[31mx\n', 'end it') },
    ];
    expect(renderChecks(lines)).toBe(
      'ok    a       well\nfail  longer  held by ?[31mx?\n              -> end it\n\n1 ok, 0 warn, 1 fail\n',
    );
    expect(checksObject(lines)).toEqual({ ok: 1, warn: 0, fail: 1, checks: lines });
  });
});
