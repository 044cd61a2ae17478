import { appendFile } from 'node:fs/promises';
import { createAuthority, scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { readCredentials } from './credentials.ts';

it('a CA file whose second certificate is spoilt is named', async () => {
  await using folder = await scratchFolder();
  const authority = await createAuthority(folder.path);
  const { certPath, keyPath } = await authority.issue('broker', { addresses: 'IP:127.0.0.1' });
  const settings = {
    tls: { cert: certPath, key: keyPath, ca: authority.caPath },
    address: { host: '127.0.0.1', port: 6444 },
  };
  expect(await readCredentials(settings)).toMatchObject({ ca: expect.stringContaining('CERTIFICATE') });
  // The next CA was added beside it, and some of its lines were lost.
  await appendFile(authority.caPath, '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n');
  await expect(readCredentials(settings)).rejects.toThrow(`BROKER_ROUTES_TLS_CA=${authority.caPath}: `);
});
