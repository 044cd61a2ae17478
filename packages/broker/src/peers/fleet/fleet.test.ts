// The hosts of all brokers, the two ends in one process, with real certificates.
import { setTimeout as delay } from 'node:timers/promises';
import { layCable } from '@coold/testbed';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fakeHostStream } from '../../../test/host-stream.ts';
import { openLanes, replyWith } from '../../../test/peer-lanes.ts';
import type { HostStream } from '../../hosts/hosts.ts';
import type { OtherBroker } from '../membership/other-brokers.ts';
import { createFleet } from './fleet.ts';

let lanes: Awaited<ReturnType<typeof openLanes>>;
beforeAll(async () => {
  lanes = await openLanes();
}, 60_000);
afterAll(() => lanes[Symbol.asyncDispose]());

const other = (brokerId: string, address: string, more: Partial<OtherBroker> = {}): OtherBroker => ({
  brokerId,
  address,
  isDead: false,
  stillMs: 100,
  routes: 3,
  ...more,
});

const host = (hostId: string, more: Partial<HostStream> = {}) =>
  fakeHostStream(hostId, {
    capabilities: ['coold', 'builder'],
    builderCapacity: 2,
    connectedAt: new Date(1_700_000_000_000),
    ...more,
  });

/** What broker b1 says of the fleet, which has no host itself. @param addresses of the links, by broker */
function fleetOf(others: OtherBroker[], link: (address: string) => ReturnType<typeof lanes.startB1>['link']) {
  const links = { to: ({ address }: { address: string }) => link(address) };
  return createFleet({ brokerId: 'b1', address: 'b1:1', list: () => [], others: () => others, links });
}

it('ten thousand hosts of another broker arrive completely, as it lists them itself', async () => {
  using b2 = await lanes.startB2();
  b2.hosts.remove(b2.host);
  const ends = Date.UTC(2031, 0, 1);
  for (let n = 0; n < 10_000; n += 1) b2.hosts.add(host(`host-${n}`));
  b2.hosts.add(host('host-0', { tokenExpiresAt: ends, tokenKeyId: 'thumb' }));
  using b1 = lanes.startB1(b2.listener.address);
  const read = fleetOf([other('b2', b2.listener.address)], () => b1.link);
  const both = [read(), read()];
  const fleet = await both[0];
  expect(await both[1], 'calls that meet share one answer').toBe(fleet);
  expect(fleet?.hosts).toHaveLength(10_000);
  expect(new Set(fleet?.hosts.map(({ host_id }) => host_id)).size).toBe(10_000);
  expect(fleet?.hosts.find(({ host_id }) => host_id === 'host-0')).toEqual({
    host_id: 'host-0',
    broker_id: 'b2',
    capabilities: ['coold', 'builder'],
    builder_capacity: 2,
    coold_version: '1.2.3',
    schema_max: 2,
    connected_at: '2023-11-14T22:13:20.000Z',
    token_ends_at: '2031-01-01T00:00:00.000Z',
    token_key: 'thumb',
    builds: { running: 0, queued: 0 },
  });
  expect(fleet?.hosts.find(({ host_id }) => host_id === 'host-1')).toMatchObject({
    token_ends_at: null,
    token_key: null,
  });
  expect(fleet?.brokers).toEqual([
    { broker_id: 'b1', address: 'b1:1', state: 'here', hosts: 0, error: null },
    { broker_id: 'b2', address: b2.listener.address, state: 'answered', hosts: 10_000, error: null },
  ]);
  expect(fleet?.complete).toBe(true);
}, 60_000);

it('a broker that does not answer in time is named, and costs the others nothing', async () => {
  using b2 = await lanes.startB2();
  b2.hosts.add(host('h'));
  const port = Number(b2.listener.address.split(':')[1]);
  await using cable = await layCable({ host: '127.0.0.1', port });
  const cut = `127.0.0.1:${cable.port}`;
  using toCut = lanes.startB1(cut);
  using toB2 = lanes.startB1(b2.listener.address);
  const read = fleetOf([other('b2', b2.listener.address), other('b2', cut)], address =>
    address === cut ? toCut.link : toB2.link,
  );
  expect((await read()).complete).toBe(true);
  cable.cut();
  const startedAt = performance.now();
  const fleet = await Promise.race([read(), delay(20_000)]);
  expect(performance.now() - startedAt).toBeGreaterThan(2900);
  expect(fleet?.complete).toBe(false);
  expect(fleet?.hosts.map(({ host_id }) => host_id)).toEqual(['h']);
  expect(fleet?.brokers.slice(1)).toEqual([
    { broker_id: 'b2', address: b2.listener.address, state: 'answered', hosts: 1, error: null },
    { broker_id: 'b2', address: cut, state: 'silent', hosts: 3, error: 'did not answer within 3000 ms' },
  ]);
}, 60_000);

it('distinguishes a broker of an older version, a dead one, and one that sends nonsense', async () => {
  using old = await lanes.startFakePeer(stream => {
    stream.respond(
      { ':status': 200, 'grpc-status': '12', 'grpc-message': 'no such method' },
      { endStream: true },
    );
  });
  using odd = await lanes.startFakePeer(stream => replyWith(stream, Uint8Array.of(0xff, 0xff)));
  using toOld = lanes.startB1(old.address);
  using toOdd = lanes.startB1(odd.address);
  const read = fleetOf(
    [
      other('old', old.address),
      other('odd', odd.address),
      other('dead', '127.0.0.1:1', { isDead: true, stillMs: 62_000 }),
    ],
    address => (address === old.address ? toOld.link : toOdd.link),
  );
  const fleet = await read();
  expect(fleet.complete).toBe(false);
  expect(fleet.brokers.slice(1).map(({ broker_id, state, error }) => [broker_id, state, error])).toEqual([
    ['old', 'old', 'answered with gRPC status 12: no such method'],
    ['odd', 'silent', 'answered nothing that is known here'],
    ['dead', 'dead', 'its heartbeat has not changed for 62 s'],
  ]);
}, 60_000);

it('hosts that a broker lists under the id of another broker are left out', async () => {
  using b2 = await lanes.startB2();
  using b1 = lanes.startB1(b2.listener.address);
  const links = { to: () => b1.link };
  const others = () => [other('b2', b2.listener.address)];
  const fleet = await createFleet({ brokerId: 'b3', address: 'b3:1', list: () => [], others, links })();
  expect(fleet.brokers[1]).toMatchObject({
    state: 'silent',
    error: expect.stringMatching(/gRPC status 7: /),
  });
  expect(b2.taken).toEqual(['impostor']);
});
