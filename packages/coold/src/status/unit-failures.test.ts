import { testLog } from '@coold/testbed/corrosion';
import { expect, it } from 'vitest';
import { createUnitFailures, endingOf, readFailures } from './unit-failures.ts';

const now = Date.parse('2030-01-01T12:00:00Z');
const minutesAgo = (minutes: number) => now - minutes * 60_000;

async function looked(restarts: number, failures: { result: string; at: number }[], at = now) {
  const stop = new AbortController();
  let clock = now;
  const unit = createUnitFailures(
    { restarts: async () => restarts, failures: async () => failures },
    testLog(),
    () => clock,
  );
  const looking = unit.look(stop.signal);
  await new Promise(resolve => setImmediate(resolve));
  stop.abort();
  await looking;
  clock = at;
  return unit.restarted();
}

it('a coold that systemd started again after a failure says how it ended', async () => {
  const failures = [
    { result: 'exit-code', at: minutesAgo(50) },
    { result: 'oom-kill', at: minutesAgo(3) },
  ];
  expect(await looked(2, failures)).toEqual({ count: 2, result: 'oom-kill', at: minutesAgo(3) });
  expect(await looked(1, failures), 'since somebody started it').toMatchObject({ count: 1 });
});

it('it says nothing once somebody has started it, nor after an hour', async () => {
  const failures = [{ result: 'oom-kill', at: minutesAgo(3) }];
  expect(await looked(0, failures)).toBeUndefined();
  expect(await looked(1, failures, now + 3_600_000)).toBeUndefined();
});

it('a systemd that cannot be asked is not a failure', async () => {
  const stop = new AbortController();
  const fails = () => Promise.reject(new Error('no systemd here'));
  const unit = createUnitFailures({ restarts: fails, failures: fails }, testLog());
  const looking = unit.look(stop.signal);
  stop.abort();
  await expect(looking).resolves.toBeUndefined();
  expect(unit.restarted()).toBeUndefined();
});

it('the journal is read line by line, and what is something else is left out', () => {
  const entry = { UNIT_RESULT: 'oom-kill', __REALTIME_TIMESTAMP: '1893499200000000', MESSAGE: 'Failed' };
  const text = [JSON.stringify(entry), 'not JSON', '{"MESSAGE":"x"}', 'null', ''].join('\n');
  expect(readFailures(text)).toEqual([{ result: 'oom-kill', at: 1893499200000 }]);
});

it('a failure is over once somebody starts the unit while systemd waits to restart it', () => {
  const line = (fields: object) => JSON.stringify({ __REALTIME_TIMESTAMP: '1893499200000000', ...fields });
  const failed = (result: string) => line({ UNIT_RESULT: result });
  const again = line({ MESSAGE_ID: '5eb03494b6584870a536b337290809b3' });
  const results = (...lines: string[]) => readFailures(lines.join('\n')).map(({ result }) => result);
  expect(results(failed('signal'), again, failed('exit-code'), again)).toEqual(['signal', 'exit-code']);
  expect(results(failed('signal'), again, failed('exit-code')), 'started by hand').toEqual([]);
  expect(results(failed('exit-code'), failed('oom-kill'), again)).toEqual(['oom-kill']);
  // A journal that keeps no such lines.
  expect(results(failed('signal'), failed('exit-code'))).toEqual(['signal', 'exit-code']);
});

it.each(['oom-kill', 'signal', 'core-dump', 'exit-code', 'timeout', 'watchdog', 'resources'])(
  'a result is reported in its own words: %s',
  result => expect(endingOf(result)).toContain(`(${result})`),
);
