// Replaces a host's token over its stream, then revokes the old one, with a real broker and a real coold.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder, unixHttp } from '@coold/testbed';
import { expect, it } from 'vitest';
import { startStack } from './stack.ts';

const jtiOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;

it('the stream goes on with the old token, and the next dial uses the new one', async () => {
  await using folder = await scratchFolder();
  const revokedFile = join(folder.path, 'revoked');
  await writeFile(revokedFile, '', { mode: 0o600 });
  await using stack = await startStack({ broker: { BROKER_REVOKED_FILE: revokedFile } });
  const path = join(stack.folder, 'host-jwt');
  const before = await readFile(path, 'utf8');
  const next = await stack.pairing.mint(stack.pairing.hostId, ['coold']);

  const foreign = await stack.pairing.mint('host-2', ['coold']);
  const refused = await stack.dispatch('set-1', { type: 'host.jwt.set', token: foreign });
  expect(refused.json()).toMatchObject({ status: 'error', code: 400, field: 'token' });
  expect(await readFile(path, 'utf8')).toBe(before);

  const answer = await stack.dispatch('set-2', { type: 'host.jwt.set', token: next });
  expect(answer.json()).toMatchObject({ status: 'ok', data: null });
  expect(await readFile(path, 'utf8')).toBe(`${next}\n`);
  const listed = await stack.dispatch('list-1');
  expect(listed.status).toBe(200);

  const seen = stack.broker.lines.length;
  await using lane = unixHttp(stack.pairing.socketPath);
  const revoked = await lane.request({
    method: 'POST',
    path: '/v1/tokens/revoke',
    json: { jti: jtiOf(before) },
  });
  expect(revoked.status).toBe(200);
  await stack.broker.logged(
    line => line.msg === 'host connected' && stack.broker.lines.indexOf(line) >= seen,
    20_000,
  );
  expect((await stack.dispatch('list-2')).status).toBe(200);
  // Neither program logged a token.
  const logs = JSON.stringify([stack.broker.lines, stack.coold.lines]);
  for (const token of [before, next, foreign]) expect(logs).not.toContain(token.split('.')[2]);
});
