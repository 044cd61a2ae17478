// How long a dispatch waits (docs/contract.md §2): by the clock of the test.
import { readVerbs } from '@coold/proto';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { fakeHostStream } from '../../test/host-stream.ts';
import { createHosts } from '../hosts/hosts.ts';
import { compileRoutes, readDispatch } from '../hosts/router.ts';
import { createDispatch } from './dispatch.ts';
import { createPending } from './pending.ts';
import { createSendToBroker } from './send-to-broker.ts';
import { createSendToHost } from './send-to-host.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const routes = compileRoutes(readVerbs());
const body = (command: object) => ({ host_id: 'h', request_id: 'r', command });
const stop = (timeout?: number) => ({
  type: 'containers.stop',
  id: 'web',
  ...(timeout === undefined ? {} : { timeout }),
});

function setUp({ timeoutMs = 10_000, isAway = false } = {}) {
  const pending = createPending({
    max: 10,
    timeoutMs,
    landedTtlMs: 1000,
    overdueTtlMs: 1000,
    landedMaxBytes: 1000,
  });
  const hosts = createHosts();
  const host = fakeHostStream('h');
  if (!isAway) hosts.add(host);
  const forwardedMs: number[] = [];
  const sendToBroker = createSendToBroker({
    pending,
    timeoutMs,
    locator: {
      locate: hostId => ({
        kind: 'other broker',
        route: { hostId, brokerId: 'b2', address: 'b2:1', connectedAt: 1 },
      }),
      forward(_route, _command, ms) {
        forwardedMs.push(ms);
        return new Promise(() => {});
      },
    },
  });
  const dispatch = createDispatch({ hosts, pending, routes, record: () => {}, sendToBroker });
  return {
    forwardedMs,
    sendToHost: createSendToHost({ hosts, pending }),
    /** How long a dispatch waits until it is 504, in ms. */
    async waits(command: object): Promise<number> {
      const begun = Date.now();
      let status = 0;
      void Promise.resolve(dispatch(body(command)).reply).then(reply => {
        status = reply.status;
      });
      for (let steps = 0; steps < 4000 && status === 0; steps += 1) await vi.advanceTimersByTimeAsync(100);
      expect(status).toBe(504);
      return Date.now() - begun;
    },
  };
}

it.each([
  [stop(), 15_000],
  [stop(60), 65_000],
  [stop(3600), 305_000],
  [{ type: 'containers.restart', id: 'web', timeout: 20 }, 25_000],
  [{ type: 'containers.delete', id: 'web', force: true }, 15_000],
  [{ type: 'containers.delete', id: 'web' }, 10_000],
  [{ type: 'containers.start', id: 'web' }, 10_000],
])('%j waits %s ms', async (command, ms) => {
  expect(await setUp().waits(command)).toBe(ms);
});

it('never waits less than for any other verb', async () => {
  expect(await setUp({ timeoutMs: 30_000 }).waits(stop(1))).toBe(30_000);
});

it('gives another broker as long, less the way back', async () => {
  const away = setUp({ isAway: true });
  expect(await away.waits(stop(60))).toBe(65_000);
  expect(await away.waits({ type: 'containers.start', id: 'web' })).toBe(10_000);
  expect(away.forwardedMs).toEqual([64_750, 9750]);
});

it('waits for another broker as long as that one waits, also when that is longer than for any verb', async () => {
  const { sendToHost } = setUp();
  const request = readDispatch(body(stop(60)), routes);
  if ('code' in request) throw new Error(request.message);
  const parked = sendToHost(request, 64_750);
  if (parked.kind !== 'sent') throw new Error(parked.message);
  let outcome = '';
  void parked.ticket.outcome.then(({ kind }) => {
    outcome = kind;
  });
  await vi.advanceTimersByTimeAsync(64_700);
  expect(outcome).toBe('');
  await vi.advanceTimersByTimeAsync(50);
  expect(outcome).toBe('timeout');
});
