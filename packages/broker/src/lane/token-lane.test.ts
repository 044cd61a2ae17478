// Tokens that are revoked over the lane of a real broker, and what becomes of their streams.
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectStubHost, type Program, scratchFolder, startProgram, unixHttp } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generateKeys, mintToken } from '../agent/token.ts';

const keys = generateKeys();
const mint = () => mintToken(keys.privateKey, { hostId: 'h', caps: ['coold'], ttlMs: 600_000 });
const idOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;

async function startBroker(env: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await scratchFolder());
  const lists = join(folder, 'lists');
  const file = join(lists, 'revoked');
  await mkdir(lists);
  await writeFile(file, '', { mode: 0o640 });
  await writeFile(join(folder, 'jwt.pub'), keys.publicKey);
  const socketPath = join(folder, 'broker.sock');
  const broker: Program = stack.use(
    startProgram('broker', {
      env: {
        BROKER_GRPC_BIND: '127.0.0.1:0',
        BROKER_JWT_PUBLIC_KEY_PATH: join(folder, 'jwt.pub'),
        BROKER_UNIX_SOCKET_PATH: socketPath,
        ...(env['BROKER_REVOKED_FILE'] === '' ? {} : { BROKER_REVOKED_FILE: file }),
      },
    }),
  );
  const { address } = await broker.logged(({ msg }) => msg === 'listening for coolds', 60_000);
  await broker.logged(({ msg }) => msg === 'listening for Laravel', 60_000);
  const http = stack.use(unixHttp(socketPath));
  const call = async (method: 'GET' | 'POST' | 'DELETE', path: string, json?: unknown) => {
    const answer = await http.request({ method, path, json });
    return { status: answer.status, body: answer.text === '' ? undefined : answer.json() };
  };
  return {
    broker,
    file,
    lists,
    call,
    revoke: (body: unknown) => call('POST', '/v1/tokens/revoke', body),
    list: () => call('GET', '/v1/tokens/revoke'),
    restore: (jti: string) => call('DELETE', `/v1/tokens/revoke/${encodeURIComponent(jti)}`),
    connect: (token: string) => connectStubHost({ address: String(address), token }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('a broker with a file of revoked tokens', () => {
  let t: Awaited<ReturnType<typeof startBroker>>;
  beforeAll(async () => {
    t = await startBroker();
  });
  afterAll(() => t[Symbol.asyncDispose]());

  async function setList(text: string) {
    await writeFile(t.file, text);
    t.broker.signal('SIGHUP');
    const lines = text.split('\n').filter(line => /^(?:jti|sub) /.test(line));
    await soon(async () => expect((await t.list()).body).toHaveLength(lines.length));
  }
  beforeEach(() => setList(''));

  it('ends the streams of a token at once, refuses it, and takes it back', async () => {
    const [token, other] = [await mint(), await mint()];
    const host = t.connect(token);
    await host.accepted;
    const jti = idOf(token);
    expect(await t.revoke({ jti })).toEqual({ status: 200, body: { jti } });
    expect((await t.call('GET', '/v1/streams')).body, 'before the answer, not at the next look').toEqual([]);
    expect(await host.ended).toMatchObject({ code: status.UNAUTHENTICATED, details: 'token is revoked' });
    expect((await t.connect(token).ended).code).toBe(status.UNAUTHENTICATED);
    const fresh = t.connect(other);
    await fresh.accepted;
    fresh.cut();
    expect(await readFile(t.file, 'utf8')).toBe(`jti ${jti}\n`);
    expect(await t.restore(jti)).toEqual({ status: 204, body: undefined });
    const again = t.connect(token);
    await again.accepted;
    again.cut();
    expect(await readFile(t.file, 'utf8')).toBe('');
  });

  it('keeps what people wrote, the mode of the file, and no second line of a token', async () => {
    await setList('# ours\nsub gone # sold\njti a # lost\njti b');
    await chmod(t.file, 0o640);
    expect((await t.revoke({ jti: 'c', since: 'unknown keys are ignored' })).status).toBe(200);
    expect((await t.revoke({ jti: 'c' })).status).toBe(200);
    expect((await t.restore('a')).status).toBe(204);
    expect((await t.restore('not-there')).status).toBe(204);
    expect(await readFile(t.file, 'utf8')).toBe('# ours\nsub gone # sold\njti b\njti c\n');
    expect((await stat(t.file)).mode & 0o777).toBe(0o640);
    expect(await readdir(t.lists)).toEqual(['revoked']);
    expect((await t.list()).body).toEqual([{ host_id: 'gone' }, { jti: 'b' }, { jti: 'c' }]);
  });

  it('takes changes that come together one after the other', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => `t${n}`);
    expect(await Promise.all(ids.map(async jti => (await t.revoke({ jti })).status))).toEqual(
      ids.map(() => 200),
    );
    expect(new Set((await readFile(t.file, 'utf8')).trim().split('\n'))).toEqual(
      new Set(ids.map(jti => `jti ${jti}`)),
    );
  });

  it.each([
    ['none', {}],
    ['a number', { jti: 7 }],
    ['nothing', { jti: '' }],
    ['a line end', { jti: 'a\nsub h' }],
    ['a space', { jti: 'a b' }],
    ['a comment', { jti: '#a' }],
    ['more than fits', { jti: 'a'.repeat(257) }],
  ])('refuses a token id that is %s', async (_, body) => {
    expect(await t.revoke(body)).toMatchObject({
      status: 400,
      body: { status: 'error', code: 400, field: 'jti' },
    });
    expect(await readFile(t.file, 'utf8')).toBe('');
  });

  it.each([[[]], ['text'], [null]])('refuses a body that is %j', async body => {
    expect(await t.revoke(body)).toMatchObject({ status: 400, body: { field: 'body' } });
  });

  it('refuses when the list is full, and still takes one from it', async () => {
    const lines = Array.from({ length: 50_000 }, (_, n) => `jti full-${n}\n`);
    await setList(lines.join(''));
    expect(await t.revoke({ jti: 'one-more' })).toMatchObject({
      status: 503,
      body: { code: 503, message: expect.stringContaining('at most 50000 entries') },
    });
    expect((await t.restore('full-7')).status).toBe(204);
    expect((await t.revoke({ jti: 'one-more' })).status).toBe(200);
  });

  it('refuses to write over a file that it does not understand', async () => {
    await writeFile(t.file, 'rubbish\n');
    expect(await t.revoke({ jti: 'a' })).toMatchObject({
      status: 503,
      body: { message: expect.stringContaining('line 1: expected "sub HOST-ID" or "jti TOKEN-ID"') },
    });
    expect(await readFile(t.file, 'utf8')).toBe('rubbish\n');
  });

  it('writes the file that a link leads to, and keeps the link', async () => {
    const target = join(t.lists, 'target');
    await writeFile(target, '');
    await rm(t.file);
    await symlink(target, t.file);
    expect((await t.revoke({ jti: 'linked' })).status).toBe(200);
    expect(await readFile(target, 'utf8')).toBe('jti linked\n');
    await rm(t.file);
    await rm(target);
  });
});

it('a broker without such a file refuses with that reason', async () => {
  await using t = await startBroker({ BROKER_REVOKED_FILE: '' });
  for (const answer of [await t.list(), await t.revoke({ jti: 'a' }), await t.restore('a')])
    expect(answer).toMatchObject({
      status: 501,
      body: {
        status: 'error',
        code: 501,
        message: expect.stringContaining('BROKER_REVOKED_FILE is not set'),
      },
    });
});
