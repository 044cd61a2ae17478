import { afterEach, expect, test } from 'vitest';
import { type FakeApi, startFakeApi } from './fake-api.ts';
import { createTransport, type Pace, type Transport, untilNextRequest } from './transport.ts';

const token = 'token-of-the-test';
const pace: Pace = { requestMs: 300, patienceMs: 2000, backoff: { firstMs: 5, maxMs: 20 } };
let opened: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(opened.map(close => close()));
  opened = [];
});

interface Options {
  token?: string;
  pace?: Partial<Pace>;
  signal?: AbortSignal;
}

async function start(options: Options = {}): Promise<{ fake: FakeApi; transport: Transport }> {
  const fake = await startFakeApi();
  const transport = createTransport({
    token,
    baseUrl: fake.baseUrl,
    ...options,
    pace: { ...pace, ...options.pace },
  });
  opened.push(transport.close, fake.close);
  return { fake, transport };
}

test('sends the token in the header of every request, and never in an error', async () => {
  const { fake, transport } = await start({ token: 'wrong-secret' });
  const failure = await transport.send('GET', '/servers').catch((error: unknown) => error);
  expect(String(failure)).toContain('401 unauthorized: unable to authenticate');
  expect(`${failure} ${JSON.stringify(failure)} ${(failure as Error).stack}`).not.toContain('wrong-secret');
  expect(fake.requests.map(({ authorization }) => authorization)).toEqual(['Bearer wrong-secret']);
});

test.each([
  ['429', { status: 429, code: 'rate_limit_exceeded' }],
  ['423', { status: 423, code: 'locked' }],
  ['409 conflict', { status: 409, code: 'conflict' }],
  ['503', { status: 503, code: 'unavailable' }],
  ['a proxy', 'garbage'],
  ['a lost connection', 'hang-up'],
  ['silence', 'silence'],
] as const)('%s is tried again', async (_, answer) => {
  const { fake, transport } = await start();
  fake.disturb({ match: /^GET/, times: 2, answer });
  expect(await transport.send('GET', '/servers')).toMatchObject({ servers: [] });
  expect(fake.requests).toHaveLength(3);
});

test.each([
  [403, 'forbidden'],
  [409, 'uniqueness_error'],
  [422, 'invalid_input'],
])('%i %s is final', async (status, code) => {
  const { fake, transport } = await start();
  fake.disturb({ match: /./, times: 9, answer: { status, code } });
  await expect(transport.send('GET', '/servers')).rejects.toThrow(`${status} ${code}: said the test`);
  expect(fake.requests).toHaveLength(1);
});

test('waits for a rate limit as long as the API says', async () => {
  const { fake, transport } = await start();
  const headers = { 'retry-after': '1' };
  fake.disturb({ match: /./, times: 1, answer: { status: 429, code: 'rate_limit_exceeded', headers } });
  const started = performance.now();
  await transport.send('GET', '/servers');
  expect(performance.now() - started).toBeGreaterThan(990);
});

test('fails at once when a rate limit lasts longer than its patience', async () => {
  const { fake, transport } = await start();
  const headers = { 'ratelimit-reset': String(Math.floor(Date.now() / 1000) + 3600) };
  fake.disturb({ match: /./, times: 9, answer: { status: 429, code: 'rate_limit_exceeded', headers } });
  const started = performance.now();
  await expect(transport.send('GET', '/servers')).rejects.toThrow('429 rate_limit_exceeded');
  expect(performance.now() - started).toBeLessThan(10_000);
});

test('the request budget refills gradually', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const reset = (seconds: number) => String(now / 1000 + seconds);
  expect(untilNextRequest({ 'ratelimit-limit': '3600', 'ratelimit-reset': reset(3600) }, now)).toBe(1000);
  expect(untilNextRequest({ 'ratelimit-reset': reset(7) }, now)).toBe(7000);
  expect(untilNextRequest({ 'ratelimit-reset': reset(-7) }, now)).toBe(0);
  expect(untilNextRequest({ 'retry-after': '3', 'ratelimit-reset': reset(9) }, now)).toBe(3000);
  expect(untilNextRequest({}, now)).toBe(0);
  // The answer comes from a clock that is an hour ahead of ours.
  const ahead = { date: 'Thu, 01 Jan 2026 01:00:00 GMT', 'ratelimit-reset': reset(3605) };
  expect(untilNextRequest(ahead, now)).toBe(5000);
});

test('gives up on a lasting failure, with the last answer', async () => {
  const { fake, transport } = await start({ pace: { patienceMs: 100 } });
  fake.disturb({ match: /./, times: 999, answer: { status: 503, code: 'unavailable' } });
  await expect(transport.send('GET', '/servers')).rejects.toThrow(
    /503 unavailable.*given up after \d+ tries/,
  );
});

test('sends nothing more and stops waiting when the run is over', async () => {
  const over = new AbortController();
  const { fake, transport } = await start({ signal: over.signal, pace: { requestMs: 60_000 } });
  fake.disturb({ match: /./, times: 9, answer: 'silence' });
  const waiting = transport.send('GET', '/servers');
  setTimeout(() => over.abort(), 20);
  await expect(waiting).rejects.toThrow('the run is over');
  await expect(transport.send('GET', '/servers')).rejects.toThrow('the run is over');
});

test('completes a change even when the run is over', async () => {
  const over = new AbortController();
  const { fake, transport } = await start({ signal: over.signal });
  const sent = transport.send('POST', '/ssh_keys', { body: { name: 'k', public_key: 'ssh-ed25519 AAAA' } });
  over.abort();
  expect(await sent).toMatchObject({ ssh_key: { name: 'k' } });
  await expect(transport.send('POST', '/ssh_keys', { body: {} })).rejects.toThrow('the run is over');
  expect(fake.requests).toHaveLength(1);
});
