import { X509Certificate } from 'node:crypto';
import { createAuthority, scratchFolder } from '@coold/testbed';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openLanes } from '../../../test/peer-lanes.ts';
import { createSenderCheck } from './peer-sender.ts';

const certificates = {
  b1: { name: 'b1', addresses: 'IP:127.0.0.1' },
  byDnsName: { name: 'peer', addresses: 'DNS:b1,DNS:peer.internal' },
  ofAddress: { name: 'peer-of-100.64.0.1', addresses: 'IP:100.64.0.1' },
  ofName: { name: 'whatever', addresses: 'DNS:broker-1.brokers.internal' },
  wild: { name: 'any', addresses: 'DNS:*.brokers.internal' },
  ofBoth: { name: 'brokers', addresses: 'IP:100.64.0.1,IP:100.64.0.2,DNS:lane.internal' },
};
let issued: Record<keyof typeof certificates, X509Certificate>;
beforeAll(async () => {
  await using folder = await scratchFolder();
  const authority = await createAuthority(folder.path);
  const all = await Promise.all(
    Object.entries(certificates).map(async ([key, { name, addresses }]) => {
      const { credentials } = await authority.issue(name, { addresses });
      return [key, new X509Certificate(credentials.cert)] as const;
    }),
  );
  issued = Object.fromEntries(all) as typeof issued;
}, 60_000);

/** b1 and b2 have heartbeats; `fresh` is known to none. */
const check = createSenderCheck({
  ids: () => ['b1', 'b2', 'b.internal'],
  addressOf: id =>
    ({ b1: '100.64.0.1:6444', b2: '100.64.0.2:6444', named: 'broker-1.brokers.internal:6444' })[id],
});

it.each<[keyof typeof certificates, string, RegExp | undefined]>([
  ['b1', 'b1', undefined],
  ['b1', 'b2', /CN=b1.* is broker b1's, and its holder says that it is broker b2$/],
  ['b1', 'fresh', /is broker b1's, and its holder says that it is broker fresh$/],
  ['byDnsName', 'b1', undefined],
  ['byDnsName', 'b2', /DNS:b1.* is broker b1's, and its holder says that it is broker b2$/],
  // As the guide has said until now: a certificate for the address alone.
  ['ofAddress', 'b1', undefined],
  ['ofAddress', 'b2', /100\.64\.0\.1 is not for 100\.64\.0\.2, where broker b2 is dialled/],
  ['ofName', 'named', undefined],
  ['ofName', 'b1', /is not for 100\.64\.0\.1, where broker b1 is dialled/],
  // It has no hosts and its heartbeat is not here yet.
  ['ofAddress', 'fresh', undefined],
  // A wildcard names addresses, and no broker.
  ['wild', 'named', undefined],
  ['wild', 'b1', /is not for 100\.64\.0\.1/],
  ['b1', 'b 1', /^from_broker_id: expected a broker id/],
  ['b1', '', /^from_broker_id: expected a broker id/],
])('the certificate %s of a broker that says that it is %s: %s', (certificate, id, refused) => {
  const why = check(id, issued[certificate]);
  if (refused === undefined) expect(why).toBeUndefined();
  else expect(why).toMatch(refused);
});

it('a row of Corrosion with a name out of a certificate for an address does not shut its holder out', () => {
  for (const row of ['brokers', 'lane.internal']) {
    const judge = createSenderCheck({
      ids: () => [row, 'b1'],
      addressOf: id => ({ b1: '100.64.0.1:6444', [row]: '203.0.113.9:1' })[id],
    });
    expect(judge('b1', issued.ofBoth)).toBeUndefined();
    expect(judge('stranger', issued.ofBoth)).toMatch(/, and its holder says that it is broker stranger$/);
  }
});

it('a certificate that was shown with its own id is good for no other, also at a shared address', () => {
  const judge = createSenderCheck({ ids: () => [], addressOf: () => '127.0.0.1:6444' });
  expect(judge('b2', issued.b1), 'of which nothing is known').toBeUndefined();
  expect(judge('b1', issued.b1)).toBeUndefined();
  expect(judge('b2', issued.b1)).toMatch(/ is broker b1's, and its holder says that it is broker b2$/);
});

it('where a broker says itself that it is dialled counts more than what any host can write', () => {
  const judge = createSenderCheck({ ids: () => ['b1', 'b2'], addressOf: () => '203.0.113.9:1' });
  expect(judge('b2', issued.ofAddress)).toMatch(/is not for 203\.0\.113\.9/);
  expect(judge('b2', issued.ofAddress, '100.64.0.1:6444')).toBeUndefined();
  expect(judge('b2', issued.ofAddress, '100.64.0.7:6444')).toMatch(/is not for 100\.64\.0\.7/);
  expect(judge('b2', issued.b1, '100.64.0.7:6444')).toMatch(/ is broker b1's/);
});

let lanes: Awaited<ReturnType<typeof openLanes>>;
beforeAll(async () => {
  lanes = await openLanes();
}, 60_000);
afterAll(() => lanes[Symbol.asyncDispose]());

it("a message that a broker sends under another broker's id is refused, counted, and logged with both names", async () => {
  using b2 = await lanes.startB2();
  using liar = lanes.startB1(b2.listener.address, { brokerId: 'b3' });
  expect(await liar.ask('r')).toMatchObject({
    kind: 'refused',
    code: 503,
    reason: 'peer_unreachable',
    message: expect.stringMatching(
      /gRPC status 7: the certificate of CN=b1, .* is broker b1's, .* broker b3$/,
    ),
  });
  expect(b2.sent).toEqual([]);
  expect(b2.taken).toEqual(['impostor']);
  expect(b2.warned).toEqual([
    [
      expect.objectContaining({ why: expect.stringMatching(/CN=b1.* broker b3$/) }),
      'a message of another broker was refused',
    ],
  ]);
});
