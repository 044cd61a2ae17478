import { setTimeout as delay } from 'node:timers/promises';
import { soon } from '@coold/testbed/soon';
import { expect, it, vi } from 'vitest';
import { CorrosionError } from './failure.ts';
import { noticeSilence, type SilenceOptions } from './silence.ts';

function notice(ask: SilenceOptions['ask'], quietMs = 5) {
  const asked = vi.fn(ask);
  const onDead = vi.fn();
  const silence = noticeSilence({ quietMs, ask: asked, onDead });
  return { asked, onDead, silence, [Symbol.dispose]: silence.end };
}

it('an agent that answers is asked again and again', async () => {
  using noticed = notice(() => Promise.resolve());
  await soon(() => expect(noticed.asked.mock.calls.length).toBeGreaterThan(3));
  expect(noticed.onDead).not.toHaveBeenCalled();
});

it.each(['refused', 'malformed'] as const)('one whose answer is %s lives', async fault => {
  using noticed = notice(() => Promise.reject(new CorrosionError(fault, 'no')));
  await soon(() => expect(noticed.asked.mock.calls.length).toBeGreaterThan(3));
  expect(noticed.onDead).not.toHaveBeenCalled();
});

it('an agent that does not answer is dead, which is reported once', async () => {
  using noticed = notice(() => Promise.reject(new CorrosionError('unreachable', 'gives no answer')));
  await soon(() => expect(noticed.onDead).toHaveBeenCalled());
  await delay(30);
  expect(noticed.onDead.mock.calls).toEqual([
    ['it sends nothing and does not answer: corrosion gives no answer'],
  ]);
});

it('does not ask an agent that sends something, or after the end', async () => {
  using noticed = notice(() => Promise.resolve(), 3_600_000);
  noticed.silence.heard();
  using ended = notice(() => Promise.resolve());
  ended.silence.end();
  ended.silence.heard();
  await delay(30);
  expect([noticed.asked, ended.asked].map(({ mock }) => mock.calls)).toEqual([[], []]);
});

it('gives up a question at the end, without calling the agent dead', async () => {
  using noticed = notice(
    signal =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(new CorrosionError('unreachable', 'given up'))),
      ),
  );
  await soon(() => expect(noticed.asked).toHaveBeenCalled());
  noticed.silence.end();
  await delay(30);
  expect(noticed.onDead).not.toHaveBeenCalled();
});

it('counts an agent that sends something while it is asked as alive, and asks one question at a time', async () => {
  let answer = (_error: Error): void => {};
  using noticed = notice(() => new Promise((_, reject) => (answer = reject)));
  await soon(() => expect(noticed.asked).toHaveBeenCalledTimes(1));
  for (let times = 0; times < 10; times += 1) {
    noticed.silence.heard();
    await delay(5);
  }
  expect(noticed.asked).toHaveBeenCalledTimes(1);
  answer(new CorrosionError('unreachable', 'no answer in time'));
  await soon(() => expect(noticed.asked).toHaveBeenCalledTimes(2));
  expect(noticed.onDead).not.toHaveBeenCalled();
});
