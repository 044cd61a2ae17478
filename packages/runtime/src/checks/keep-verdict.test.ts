import { expect, it, vi } from 'vitest';
import type { Logger } from '../logs/logger.ts';
import { rememberLines } from '../logs/remember-lines.ts';
import { keepVerdict, type Problem } from './keep-verdict.ts';

/** Every line, with its level. */
function keptLog() {
  const lines: string[] = [];
  const write = (level: string) => (_fields: unknown, message?: string) =>
    void lines.push(`${level} ${message}`);
  const log: Logger = {
    trace: () => {},
    debug: () => {},
    error: write('error'),
    info: write('info'),
    warn: write('warn'),
    child: () => log,
  };
  return { log, lines };
}

function setUp() {
  const { log, lines } = keptLog();
  let problems: Problem[] = [];
  let looks = 0;
  const stop = new AbortController();
  const verdict = keepVerdict({
    judge: async () => {
      looks += 1;
      return problems;
    },
    log,
    everyMs: 5,
  });
  const running = verdict.task(stop.signal);
  return {
    lines,
    verdict,
    log,
    /** Resolves after two looks that found these alone. */
    async are(...now: Problem[]) {
      problems = now;
      const from = looks;
      await vi.waitFor(() => expect(looks).toBeGreaterThan(from + 2), { timeout: 20_000, interval: 1 });
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

const full = (free: number): Problem => ({ about: 'disk /', text: `the disk is full: ${free} MiB are free` });

it('logs a problem once, with its first text, and once when it is over', async () => {
  await using given = setUp();
  await given.are();
  expect(given.lines).toEqual([]);
  expect(given.verdict.count()).toBe(0);
  await given.are(full(3));
  await given.are(full(2), { about: 'podman', text: 'Podman does not answer' });
  expect(given.verdict.count()).toBe(2);
  await given.are({ about: 'podman', text: 'Podman does not answer: no socket' });
  await given.are();
  expect(given.lines).toEqual([
    'warn PROBLEM: the disk is full: 3 MiB are free',
    'warn PROBLEM: Podman does not answer',
    'info no longer a problem: the disk is full: 3 MiB are free',
    'info no longer a problem: Podman does not answer',
  ]);
});

it('does not log what only one check finds', async () => {
  const { log, lines } = keptLog();
  const stop = new AbortController();
  let looks = 0;
  const { task } = keepVerdict({
    async judge() {
      looks += 1;
      if (looks === 6) stop.abort();
      return looks % 2 === 0 ? [full(1)] : [];
    },
    log,
    everyMs: 1,
  });
  await task(stop.signal);
  expect(looks).toBe(6);
  expect(lines).toEqual([]);
});

it('a look that fails is not the end of it', async () => {
  const { log, lines } = keptLog();
  const stop = new AbortController();
  let looks = 0;
  const { task } = keepVerdict({
    async judge() {
      looks += 1;
      if (looks === 4) stop.abort();
      if (looks === 1) throw new Error('busy');
      return [full(1)];
    },
    log: rememberLines(log, 1).log,
    everyMs: 1,
  });
  await task(stop.signal);
  expect(lines).toEqual(['warn PROBLEM: the disk is full: 1 MiB are free']);
});
