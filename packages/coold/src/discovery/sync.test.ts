import type { Logger } from '@coold/runtime';
import { afterEach, expect, it, vi } from 'vitest';
import { Sync } from './sync.ts';

afterEach(() => void vi.restoreAllMocks());

/** Follows events that each attempt ends after so many ms of a clock of its own; what was logged each time. */
async function follow(attempts: readonly { lastsMs: number; events?: number }[]): Promise<unknown[]> {
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  const ends: unknown[] = [];
  const stop = new AbortController();
  const say = (level: string) => (fields: unknown) => {
    const { again_in_ms } = fields as { again_in_ms?: number };
    if (again_in_ms !== undefined) ends.push([level, again_in_ms]);
    if (ends.length === attempts.length) stop.abort();
  };
  const nothing = () => {};
  const log: Logger = {
    trace: nothing,
    info: nothing,
    error: nothing,
    warn: say('warn'),
    debug: say('debug'),
    child: () => log,
  };
  let now = 0;
  let attempt = 0;
  const unused = {} as never;
  const sync = new Sync({
    async events(onEvent) {
      const { lastsMs, events = 0 } = attempts[attempt] ?? { lastsMs: 0 };
      attempt += 1;
      for (let count = 0; count < events; count += 1) onEvent('id', 'change');
      now += lastsMs;
      throw new Error('the stream ended');
    },
    containers: unused,
    writer: unused,
    aliases: unused,
    registrations: unused,
    intervalMs: 2000,
    log,
    now: () => now,
  });
  await sync.watch(stop.signal);
  return ends;
}

it("an end of Podman's events right after another is not logged again, and the waits grow", async () => {
  expect(await follow([{ lastsMs: 0 }, { lastsMs: 0 }, { lastsMs: 0 }])).toEqual([
    ['warn', 50],
    ['debug', 100],
    ['debug', 200],
  ]);
});

it('an end after a long time is logged again and followed up at once, also when no event had come', async () => {
  expect(
    await follow([{ lastsMs: 0 }, { lastsMs: 0 }, { lastsMs: 3_600_000 }, { lastsMs: 0, events: 1 }]),
  ).toEqual([
    ['warn', 50],
    ['debug', 100],
    ['warn', 50],
    ['warn', 50],
  ]);
});
