// Streams whose token is no longer believed, on a real listener.

import type { StubHostOptions } from '@coold/testbed';
import { status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { keys, startAgents, tokenFor } from '../../test/agents.ts';
import { createVerifier } from './auth.ts';
import { type DenyList, emptyDenyList, parseDenyList } from './deny-list.ts';
import { endInvalidStreams } from './end-invalid.ts';
import { hintShutdown } from './shutdown-hint.ts';

async function setUp() {
  let list: DenyList = emptyDenyList;
  let now = Date.now();
  const isRevoked: DenyList['has'] = token => list.has(token);
  const verify = createVerifier(keys.publicKey, { isRevoked, now: () => now });
  const broker = await startAgents({ verify });
  const { hosts, log } = broker;
  return {
    ...broker,
    connect: (token: string, schemaMax = 2, onCommand?: StubHostOptions['onCommand']) =>
      broker.connect({
        token,
        hello: { schemaMax, capabilities: ['coold'] },
        ...(onCommand === undefined ? {} : { onCommand }),
      }),
    revoke: (text: string) => {
      list = parseDenyList(text);
    },
    pass: (ms: number) => {
      now += ms;
    },
    sweep: () => endInvalidStreams({ hosts, isRevoked, log }, now),
  };
}

it('a stream ends when its token has expired and the leeway is over, and its token is refused', async () => {
  using broker = await setUp();
  const token = await tokenFor('h');
  const host = broker.connect(token);
  await host.accepted;
  broker.pass(118_000);
  broker.sweep();
  expect(broker.hosts.get('h'), 'within the leeway').toBeDefined();
  broker.pass(3000);
  broker.sweep();
  expect(broker.hosts.get('h')).toBeUndefined();
  expect(await host.ended).toMatchObject({ code: status.UNAUTHENTICATED, details: 'token has expired' });
  // Its signature is remembered; that does not help it.
  expect((await broker.connect(token).ended).code).toBe(status.UNAUTHENTICATED);
});

it.each([
  ['host', () => 'sub h\n'],
  ['token', (tokenId: string) => `jti ${tokenId}\n`],
])('a revoked %s loses its stream and gets no other', async (what, entry) => {
  using broker = await setUp();
  const token = await tokenFor('h');
  const host = broker.connect(token);
  const other = broker.connect(await tokenFor('other'));
  await Promise.all([host.accepted, other.accepted]);
  broker.revoke(entry(broker.hosts.get('h')?.tokenId ?? expect.fail('a token has an id')));
  broker.sweep();
  expect(broker.hosts.list().map(({ hostId }) => hostId)).toEqual(['other']);
  expect(await host.ended).toMatchObject({ code: status.UNAUTHENTICATED, details: 'token is revoked' });
  expect((await broker.connect(token).ended).code).toBe(status.UNAUTHENTICATED);
  const fresh = broker.connect(await tokenFor('h'));
  if (what === 'host') expect((await fresh.ended).code).toBe(status.UNAUTHENTICATED);
  else await fresh.accepted;
  fresh.cut();
  other.cut();
});

it('a stopping broker sends the hint to the hosts that know it, and to no others', async () => {
  using broker = await setUp();
  const told: string[] = [];
  const hinted = Promise.withResolvers<void>();
  const old = broker.connect(
    await tokenFor('old'),
    1,
    ({ command }) => void told.push(`old: ${command.case}`),
  );
  const host = broker.connect(await tokenFor('h'), 2, ({ command, requestId }) => {
    told.push(`h: ${command.case} ${requestId}`);
    if (command.case === 'shutdownHint') expect(command.value.windowMs).toBe(1000);
    hinted.resolve();
  });
  await Promise.all([old.accepted, host.accepted]);
  hintShutdown(broker.hosts);
  await hinted.promise;
  for (const stream of broker.hosts.list()) stream.close('stopping');
  expect((await old.ended).code, 'read to its end').toBe(status.UNAVAILABLE);
  expect(told).toEqual(['h: shutdownHint ']);
  host.cut();
});
