// What never reaches the firewall: the handlers' own checks. What does is tested with real planes beside the store.
import { readVerbs } from '@coold/proto';
import { createLogger } from '@coold/runtime/logger';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { caller } from '../../test/caller.ts';
import { noFirewall } from '../../test/no-firewall.ts';
import { createHttpServer } from '../transport/http-server.ts';
import { createMetrics } from '../transport/metrics.ts';
import { createRest } from '../transport/rest.ts';
import { restRoutes } from '../transport/rest-route.ts';
import { createStreams } from '../transport/streams.ts';
import { explainHandlers } from './explain.ts';
import { firewallHandlers } from './firewall.ts';
import { joinSurface } from './surface.ts';

const log = createLogger('coold', { level: 'off', components: new Map() }, false);
const call = caller(firewallHandlers(noFirewall));
const flow = { src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 };
const hostile = [
  'a; iptables -F',
  '-j ACCEPT',
  '$(reboot)',
  '"\n',
  '`id`',
  '\u0000',
  '../../etc/passwd',
  '{}',
  "' OR 1=1",
];

describe.each(['namespace', 'src', 'dst', 'proto', 'id'])('%s', field => {
  it.each(hostile)('as %j is refused by its name, alone and in bulk', async text => {
    await expect(call('firewall.allow', { ...flow, [field]: text })).rejects.toMatchObject({ field });
    await expect(call('firewall.bulk', { add: [flow, { ...flow, [field]: text }] })).rejects.toMatchObject({
      field: `add[1].${field}`,
    });
  });
});

test.each([...hostile, '', '644D80ECC835', '644d80ecc83'])('an id %j is none', async id => {
  await expect(call('firewall.revoke', { id })).rejects.toMatchObject({ code: 400, field: 'id' });
  await expect(call('firewall.show', { id })).rejects.toMatchObject({ code: 400, field: 'id' });
  await expect(call('firewall.bulk', { remove: [id] })).rejects.toMatchObject({
    code: 400,
    field: 'remove[0]',
  });
});

test.each([
  { port: '80' },
  { port: 65_536 },
  { port: 0 },
  { port: -1 },
  { port: 1.5 },
  { proto: 6 },
  { src: 1 },
])('%j is refused', async part => {
  const [field] = Object.keys(part);
  await expect(call('firewall.allow', { ...flow, ...part })).rejects.toMatchObject({ field });
});

test('what is added and removed by one request is refused', async () => {
  await expect(call('firewall.bulk', { add: [flow], remove: ['644d80ecc835'] })).rejects.toMatchObject({
    code: 400,
    field: 'add[0]',
  });
});

describe('over REST', () => {
  const verbs = new Map([...readVerbs()].filter(([name]) => name.startsWith('firewall.')));
  const surface = joinSurface(verbs, { ...firewallHandlers(noFirewall), ...explainHandlers({} as never) });
  const cleanup = new AsyncDisposableStack();
  let origin = '';
  beforeAll(async () => {
    const handle = await createRest({
      routes: restRoutes(surface),
      mayCall: () => true,
      metrics: createMetrics('1'),
      document: undefined,
      record: () => {},
      streams: createStreams(log),
      log,
    });
    const server = createHttpServer({ handle, tls: undefined, log });
    cleanup.defer(() => server.close(0));
    origin = `http://${await server.listen({ host: '127.0.0.1', port: 0 })}/api/v1/firewall`;
  });
  afterAll(() => cleanup.disposeAsync());
  const post = async (path: string, body: unknown) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await request(`${origin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.statusCode, json: await answer.body.json() };
  };

  it('a bulk may have 4 MiB, and a longer one is refused; others have the limit of every verb', async () => {
    const many = Array.from({ length: 100_000 }, () => flow);
    expect(await post('/allow/bulk', { add: many })).toEqual({
      status: 413,
      json: { error: 'body: expected at most 4194304 bytes', reason: 'body_too_large' },
    });
    const within = { add: [...many.slice(0, 40_000), { ...flow, port: 0 }] };
    expect(await post('/allow/bulk', within)).toMatchObject({
      status: 400,
      json: { field: 'add[40000].port' },
    });
    expect(await post('/allow', { ...flow, namespace: 'x'.repeat(2 ** 21) })).toMatchObject({
      status: 413,
      json: { error: 'body: expected at most 2097152 bytes' },
    });
  });
});

test('a rule that would open nothing is not promised: 409 with what differs', async () => {
  const why = 'COOLD_CHAIN_NAME is A and the scaffold’s is B';
  const useless = caller(firewallHandlers({ ...noFirewall, uselessBecause: () => Promise.resolve(why) }));
  const refused = { code: 409, message: why };
  await expect(useless('firewall.allow', flow)).rejects.toMatchObject(refused);
  await expect(useless('firewall.bulk', { add: [flow] })).rejects.toMatchObject(refused);
});
