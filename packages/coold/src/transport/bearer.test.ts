import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '@coold/testbed';
import { describe, expect, it } from 'vitest';
import { createBearer, readApiToken } from './bearer.ts';

describe('a bearer token', () => {
  const bearer = createBearer('s3cret-token');

  it.each(['Bearer s3cret-token', 'bearer s3cret-token', 'BEARER   s3cret-token'])('is taken: %j', header => {
    expect(bearer.accepts(header)).toBe(true);
  });

  it.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    's3cret-token',
    'Basic s3cret-token',
    'Bearers3cret-token',
    'Bearer s3cret-toke',
    'Bearer s3cret-token2',
    'Bearer S3CRET-TOKEN',
    'Bearer s3cret-token s3cret-token',
    'Bearer s3cret-token, Bearer s3cret-token',
    'Bearer s3cret-token\n',
    ' Bearer s3cret-token',
  ])('is refused: %j', header => {
    expect(bearer.accepts(header)).toBe(false);
  });

  it('can change', () => {
    const changing = createBearer('old');
    changing.use('new');
    expect([changing.accepts('Bearer old'), changing.accepts('Bearer new')]).toEqual([false, true]);
  });
});

describe('its file', () => {
  it('is trimmed', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'token');
    await writeFile(path, 'abc\n', { mode: 0o600 });
    expect(await readApiToken(path)).toBe('abc');
  });

  it('that others can read, that is absent, or that no header can carry is refused', async () => {
    await using folder = await scratchFolder();
    const path = join(folder.path, 'token');
    await expect(readApiToken(path)).rejects.toThrow(`${path} cannot be read`);
    await writeFile(path, 'two\nlines', { mode: 0o600 });
    await expect(readApiToken(path)).rejects.toThrow(`${path} is not a token`);
    await writeFile(path, 'tökén');
    await expect(readApiToken(path)).rejects.toThrow(`${path} is not a token`);
    await writeFile(path, 'good');
    await chmod(path, 0o640);
    await expect(readApiToken(path)).rejects.toThrow('group or world can read it');
  });
});
