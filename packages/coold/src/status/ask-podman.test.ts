import { expect, it } from 'vitest';
import { askPodman } from './ask-podman.ts';

const version = () => Promise.resolve('5.4.2');
const list = () => Promise.resolve([]);
const panics = () =>
  Promise.reject(new Error('podman: runtime error: invalid memory address or nil pointer dereference'));

it('a Podman that reports its version and its containers is well', async () => {
  expect(await askPodman({ version, list })).toEqual({ version: '5.4.2' });
});

it.each([
  ['of itself', { version: panics, list }],
  ['of its containers', { version, list: panics }],
])('one that fails to tell %s is not, with its own words', async (_, podman) => {
  expect(await askPodman(podman)).toEqual({
    problem: expect.stringContaining('nil pointer dereference'),
    late: false,
  });
});

it('one that does not answer in time is late: it may be busy with a host that boots', async () => {
  const never = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  expect(await askPodman({ version: never, list }, 10)).toEqual({ problem: expect.any(String), late: true });
});
