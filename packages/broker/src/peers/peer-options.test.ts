import { parseConfig } from '@coold/runtime';
import { expect, it } from 'vitest';
import { brokerCommand } from '../config.ts';
import { readPeerSettings } from './peer-options.ts';

const complete = {
  BROKER_ROUTES_CORROSION_URL: 'http://127.0.0.1:8080',
  BROKER_ROUTES_BROKER_ID: 'b1',
  BROKER_ROUTES_BIND: '0.0.0.0:6444',
  BROKER_ROUTES_ADDRESS: 'b1.internal:6444',
  BROKER_ROUTES_TLS_CERT: '/b.crt',
  BROKER_ROUTES_TLS_KEY: '/b.key',
  BROKER_ROUTES_TLS_CA: '/ca.crt',
};
const parse = (env: Record<string, string>) => parseConfig(brokerCommand, { argv: [], env, version: '1' });

it('without any of them a broker is alone', () => {
  const parsed = parse({});
  expect(parsed.kind === 'run' && readPeerSettings(parsed.config)).toBeUndefined();
});

it('with all of them it has a place among others', () => {
  const parsed = parse(complete);
  expect(parsed.kind === 'run' && readPeerSettings(parsed.config)).toEqual({
    corrosion: { url: 'http://127.0.0.1:8080', tokenFile: undefined },
    brokerId: 'b1',
    bind: { host: '0.0.0.0', port: 6444 },
    address: { host: 'b1.internal', port: 6444 },
    tls: { cert: '/b.crt', key: '/b.key', ca: '/ca.crt' },
    connectTimeoutMs: 2000,
    ttlMs: 40_000,
  });
});

it.each(Object.keys(complete))('without %s it does not start, and says so', name => {
  const rest: Record<string, string> = { ...complete, [name]: '' };
  expect(parse(rest)).toMatchObject({
    kind: 'exit',
    code: 2,
    text: expect.stringContaining(`${name} is not set`),
  });
});

it('of a token without the rest, the rest is what is missing', () => {
  const parsed = parse({ BROKER_ROUTES_CORROSION_TOKEN_FILE: '/token' });
  const names = Object.keys(complete).join(', ');
  expect(parsed).toMatchObject({
    kind: 'exit',
    code: 2,
    text: expect.stringContaining(`${names} are not set`),
  });
});

it.each([
  ['BROKER_ROUTES_BROKER_ID', 'a b'],
  ['BROKER_ROUTES_ADDRESS', '10.0.0.1'],
  ['BROKER_ROUTES_BIND', 'b1:1'],
  ['BROKER_ROUTES_CORROSION_URL', 'ftp://x'],
  ['BROKER_ROUTES_TLS_CA', 'ca.crt'],
  ['BROKER_ROUTES_CONNECT_TIMEOUT', '0ms'],
  ['BROKER_ROUTES_TTL', '4999ms'],
])('%s=%s is refused by name', (name, value) => {
  expect(parse({ ...complete, [name]: value })).toMatchObject({
    kind: 'exit',
    code: 2,
    text: expect.stringContaining(name),
  });
});
