import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { logFilter } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { createAuthority, scratchFolder } from '@coold/testbed';
import { expect, it } from 'vitest';
import { followCredentials } from './credentials.ts';

const log = createLogger('coold', logFilter.parse('off') ?? expect.fail(), false);

it('a CA file whose second certificate is spoilt cannot be used, and the one that was read before stays', async () => {
  await using folder = await scratchFolder();
  const { caPath } = await createAuthority(folder.path);
  const tokenPath = join(folder.path, 'host-jwt');
  await writeFile(tokenPath, 'a.b.c', { mode: 0o600 });
  const good = await readFile(caPath, 'utf8');
  const credentials = followCredentials({ tokenPath, caPath }, log);
  expect(await credentials.look()).toMatchObject({ current: { ca: good }, problem: undefined });
  // The next CA was added beside it, and some of its lines were lost.
  await writeFile(caPath, `${good}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`);
  expect(await credentials.look()).toMatchObject({
    current: { ca: good },
    problem: expect.stringContaining(`COOLD_BROKER_CA=${caPath}: `),
  });
});
