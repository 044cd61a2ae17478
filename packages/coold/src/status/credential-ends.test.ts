import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { createCredentialEnds, watchCredentialEnds } from './credential-ends.ts';

const day = 86_400_000;
const now = () => 100 * day;

it('names what is to be renewed, the first to end first, until it was', async () => {
  const ends = createCredentialEnds(now);
  const registry = new Registry();
  watchCredentialEnds(registry, ends, now);
  ends.know('token', { begins: 0, ends: 110 * day });
  ends.know('broker_ca', { begins: 0, ends: 99 * day });
  ends.know('api_certificate', { begins: 0, ends: 200 * day });
  expect(ends.ending()).toEqual([
    { credential: 'broker_ca', ends_at: new Date(99 * day).toISOString() },
    { credential: 'token', ends_at: new Date(110 * day).toISOString() },
  ]);
  const text = await registry.metrics();
  expect(text).toContain('coold_credential_left_seconds{credential="token"} 864000\n');
  expect(text).toContain('coold_credential_left_seconds{credential="broker_ca"} -86400\n');
  ends.know('token', { begins: 100 * day, ends: 465 * day });
  ends.know('broker_ca', undefined);
  expect(ends.ending()).toEqual([]);
  expect(await registry.metrics()).not.toContain('broker_ca');
});
