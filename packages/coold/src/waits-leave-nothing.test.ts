// Waiting again and again beside something that may never happen leaves nothing on the heap. Each counts in a program of
// its own: one reaction on a promise is about 250 bytes, and a session or a process has millions of such waits.
import { bytesLeftByEach } from '@coold/testbed/heap-growth';
import { expect, it } from 'vitest';

/** A quarter of what one reaction, listener or timer takes. */
const nothing = 60;
const path = (specifier: string) => JSON.stringify(import.meta.resolve(specifier));

it('each frame of output that a reader takes', async () => {
  const left = await bytesLeftByEach(
    `import { letGoWhenStopped } from ${path('./stalled-reader.ts')};
     const readers = letGoWhenStopped(() => new Promise(() => {}));`,
    'await readers.taking(Promise.resolve());',
  );
  expect(left).toBeLessThan(nothing);
}, 90_000);

it('each look at something that is rarely announced', async () => {
  const left = await bytesLeftByEach(
    `import { createChangeSignal } from ${path('../../runtime/src/waits/change-signal.ts')};
     const changes = createChangeSignal();
     const stop = new AbortController();`,
    'for (let i = 0; i < 10; i += 1) void changes.later(changes.count(), 0, stop.signal); await changes.later(changes.count(), 0, stop.signal);',
    2000,
  );
  expect(left / 11).toBeLessThan(nothing);
}, 90_000);

it('each caller that joins work and leaves, and each that takes what it yields', async () => {
  const left = await bytesLeftByEach(
    `import { orAborted } from ${path('../../runtime/src/waits/or-aborted.ts')};
     const stop = new AbortController();`,
    'await orAborted(Promise.resolve(1), stop.signal);',
  );
  expect(left).toBeLessThan(nothing);
}, 90_000);

it('and the measure sees a race with a promise that stays', async () => {
  const left = await bytesLeftByEach(
    'const never = new Promise(() => {});',
    'await Promise.race([never, Promise.resolve()]);',
  );
  expect(left).toBeGreaterThan(2 * nothing);
}, 90_000);
