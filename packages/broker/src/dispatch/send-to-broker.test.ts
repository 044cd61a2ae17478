import { create } from '@bufbuild/protobuf';
import { ResponseSchema, readVerbs } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Forwarded, HostLocator } from '../hosts/host-locator.ts';
import { createHosts } from '../hosts/hosts.ts';
import { compileRoutes } from '../hosts/router.ts';
import type { HostLocation } from '../peers/routes/route-table.ts';
import { createDispatch } from './dispatch.ts';
import { createPending } from './pending.ts';
import type { DispatchRecord } from './record-dispatches.ts';
import { createSendToBroker } from './send-to-broker.ts';

const routes = compileRoutes(readVerbs());
const answered = (requestId: string): Forwarded => ({
  kind: 'answered',
  bytes: 10,
  response: create(ResponseSchema, {
    requestId,
    body: { case: 'listContainers', value: { containers: [] } },
  }),
});
const refused: Forwarded = {
  kind: 'refused',
  outcome: 'peer failed',
  code: 503,
  reason: 'peer_unreachable',
  message: 'broker b2 is dead',
};

/** Dispatches of a broker whose hosts are all elsewhere, and what the other broker says is for the test to decide. */
function setUp({ max = 10, timeoutMs = 60_000 } = {}) {
  const pending = createPending({
    max,
    timeoutMs,
    landedTtlMs: 30_000,
    overdueTtlMs: 60_000,
    landedMaxBytes: 1000,
  });
  const forwards: { id: string; signal: AbortSignal; tell: (told: Forwarded) => void }[] = [];
  let location: HostLocation = {
    kind: 'other broker',
    route: { hostId: 'h', brokerId: 'b2', address: 'b:1', connectedAt: 1 },
  };
  const locator: Pick<HostLocator, 'locate' | 'forward'> = {
    locate: () => location,
    forward(_route, { requestId: id }, _timeoutMs, signal) {
      const { promise, resolve: tell } = Promise.withResolvers<Forwarded>();
      forwards.push({ id, signal, tell });
      return promise;
    },
  };
  const records: DispatchRecord[] = [];
  const dispatch = createDispatch({
    hosts: createHosts(),
    pending,
    routes,
    record: record => void records.push(record),
    sendToBroker: createSendToBroker({ pending, locator, timeoutMs }),
  });
  const ask = (requestId: string) =>
    dispatch({ host_id: 'h', request_id: requestId, command: { type: 'list_containers' } });
  const lead = (to: HostLocation) => {
    location = to;
  };
  return { pending, forwards, records, ask, lead };
}

const none = { waiting: 0, landed: 0, overdue: 0 };

it('an answer of the other broker is the caller’s, and then the id is free', async () => {
  const { pending, forwards, records, ask } = setUp();
  const { reply, ticket } = ask('r');
  expect(pending.counts().waiting, 'it counts against the cap here too').toBe(1);
  forwards[0]?.tell(answered('r'));
  expect(await reply).toMatchObject({ status: 200, envelope: { status: 'ok', data: [] } });
  ticket?.delivered();
  expect(pending.counts()).toEqual(none);
  expect(records).toMatchObject([{ outcome: 'ok', hostId: 'h' }]);
});

it('a refusal of the other broker is the caller’s, and then the id is free', async () => {
  const { pending, forwards, records, ask } = setUp();
  const { reply, ticket } = ask('r');
  forwards[0]?.tell(refused);
  expect(await reply).toMatchObject({ status: 503, envelope: { message: 'broker b2 is dead' } });
  ticket?.delivered();
  expect(pending.counts()).toEqual(none);
  expect(records).toMatchObject([{ outcome: 'peer failed', code: 503 }]);
});

it('an answer that could not be handed over is kept, and nobody is asked for it again', async () => {
  const { forwards, ask } = setUp();
  const { reply, ticket } = ask('r');
  forwards[0]?.tell(answered('r'));
  await reply;
  ticket?.undelivered();
  expect((await ask('r').reply).status).toBe(200);
  expect(forwards).toHaveLength(1);
});

it('a caller who leaves ends the forward; who asks again is led to the other broker again', async () => {
  const { pending, forwards, records, ask } = setUp();
  ask('r').ticket?.undelivered();
  expect(forwards[0]?.signal.aborted).toBe(true);
  forwards[0]?.tell(refused);
  const again = ask('r');
  expect(forwards).toHaveLength(2);
  forwards[1]?.tell(answered('r'));
  expect((await again.reply).status).toBe(200);
  again.ticket?.delivered();
  expect(pending.counts()).toEqual(none);
  expect(records).toMatchObject([{ outcome: 'caller left' }, { outcome: 'ok' }]);
});

it('a silent peer causes a 504 in time, and learns that the caller left', async () => {
  const { forwards, ask } = setUp({ timeoutMs: 20 });
  expect(await ask('r').reply).toMatchObject({ status: 504, envelope: { message: 'dispatch timeout' } });
  await soon(() => expect(forwards[0]?.signal.aborted).toBe(true));
});

it('an id that is under way and a full broker are refused here', async () => {
  const { forwards, ask } = setUp({ max: 1 });
  void ask('r');
  expect(await ask('r').reply).toMatchObject({ status: 409, envelope: { field: 'request_id' } });
  expect(await ask('other').reply).toMatchObject({ status: 503 });
  expect(forwards).toHaveLength(1);
});

it('a broker that stops ends its forwards', async () => {
  const { pending, forwards, ask } = setUp();
  const { reply } = ask('r');
  await pending.drain(0);
  expect(await reply).toMatchObject({ status: 503, envelope: { message: 'broker is stopping' } });
  expect(forwards[0]?.signal.aborted).toBe(true);
});

it('a host that no broker has is 404, one of which nothing is known yet 503', async () => {
  const { forwards, ask, lead } = setUp();
  lead({ kind: 'nowhere' });
  expect(await ask('r').reply).toMatchObject({ status: 404, envelope: { message: 'host not connected' } });
  lead({ kind: 'unknown' });
  expect(await ask('r').reply).toMatchObject({ status: 503 });
  expect(forwards).toEqual([]);
});

it('whatever happens in whatever order, each caller gets one reply and nothing is left', async () => {
  const step = fc.record({
    id: fc.constantFrom('r1', 'r2', 'r3'),
    kind: fc.constantFrom('ask', 'answer', 'refuse', 'deliver', 'leave'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const { pending, forwards, records, ask } = setUp({ max: 2 });
      const asked: {
        id: string;
        replies: number;
        ticket: ReturnType<typeof ask>['ticket'];
        done: boolean;
      }[] = [];
      const settle = (one: (typeof asked)[number], how: 'delivered' | 'undelivered') => {
        one.done = true;
        one.ticket?.[how]();
      };
      for (const { id, kind } of steps) {
        switch (kind) {
          case 'ask': {
            const { reply, ticket } = ask(id);
            const one = { id, replies: 0, ticket, done: ticket === undefined };
            asked.push(one);
            void Promise.resolve(reply).then(() => {
              one.replies += 1;
            });
            break;
          }
          case 'answer':
            forwards.findLast(forward => forward.id === id)?.tell(answered(id));
            break;
          case 'refuse':
            forwards.findLast(forward => forward.id === id)?.tell(refused);
            break;
          case 'deliver': {
            const one = asked.find(other => other.id === id && other.replies === 1 && !other.done);
            if (one !== undefined) settle(one, 'delivered');
            break;
          }
          case 'leave': {
            const one = asked.find(other => other.id === id && !other.done);
            if (one !== undefined) settle(one, 'undelivered');
          }
        }
        await new Promise(resolve => setImmediate(resolve));
      }
      for (const forward of forwards) forward.tell(refused);
      await new Promise(resolve => setImmediate(resolve));
      for (const one of asked) if (!one.done) settle(one, 'delivered');
      expect(pending.counts().waiting).toBe(0);
      for (const one of asked) expect(one.replies).toBeLessThanOrEqual(1);
      expect(records).toHaveLength(asked.length);
      await pending.drain(0);
    }),
    { numRuns: 200 },
  );
});
