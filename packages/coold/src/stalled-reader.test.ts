import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { letGoWhenStopped } from './stalled-reader.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = new Promise<void>(() => {});
const state = (Status: string) => Promise.resolve({ State: { Status } });

it.each(['stopping', 'removing'])('a reader is let go when its container is %s', async status => {
  using readers = letGoWhenStopped(() => state(status));
  const refused = expect(readers.taking(never)).rejects.toMatchObject({ code: 409 });
  await vi.advanceTimersByTimeAsync(4000);
  await refused;
});

it('and waited for while it runs, whatever Podman says or does not', async () => {
  const inspect = vi.fn(() => state('running'));
  inspect.mockRejectedValueOnce(new Error('no answer in time'));
  using readers = letGoWhenStopped(inspect);
  const write = Promise.withResolvers<void>();
  const taken = readers.taking(write.promise);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(inspect.mock.calls.length).toBeGreaterThan(20);
  write.resolve();
  await taken;
});

it('nobody is asked for one that takes what comes, nor twice at once for one that does not', async () => {
  const inspect = vi.fn(() => new Promise<never>(() => {}));
  using readers = letGoWhenStopped(inspect);
  for (let count = 0; count < 100; count += 1) {
    await readers.taking(Promise.resolve());
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(inspect).not.toHaveBeenCalled();
  void readers.taking(never);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(inspect).toHaveBeenCalledTimes(1);
});

it('nothing is asked at the end', async () => {
  const inspect = vi.fn(() => state('running'));
  {
    using readers = letGoWhenStopped(inspect);
    void readers.taking(never);
  }
  await vi.advanceTimersByTimeAsync(60_000);
  expect(inspect).not.toHaveBeenCalled();
});
