import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { getJson, UnreachableError } from './get-json.ts';

async function ask(listener: RequestListener, more: { timeoutMs?: number; fields?: string[] } = {}) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = { host: '127.0.0.1', port: (server.address() as AddressInfo).port, pinned: undefined };
  try {
    return await getJson({ at, path: '/x', timeoutMs: 30_000, ...more });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

it('gives the object that was answered', async () => {
  expect(await ask((_, response) => response.end('{"a":1}'), { fields: ['a'] })).toEqual({ a: 1 });
});

it('gives the list that was answered', async () => {
  expect(await ask((_, response) => response.end('[{"a":1}]'))).toEqual([{ a: 1 }]);
});

it.each<[RegExp, RequestListener, { timeoutMs?: number; fields?: string[] }?]>([
  [/answers \/x with HTTP 404$/, (_, response) => response.writeHead(404).end('{}')],
  [/its answer to \/x is neither an object nor a list$/, (_, response) => response.end('7')],
  [/its answer to \/x is neither an object nor a list$/, (_, response) => response.end('null')],
  [/has no a: is it another version\?$/, (_, response) => response.end('[]'), { fields: ['a'] }],
  [/has no b: is it another version\?$/, (_, response) => response.end('{"a":1}'), { fields: ['a', 'b'] }],
  [/cannot be asked: .*JSON/, (_, response) => response.end('<html>')],
  [/no answer within 50 ms$/, () => {}, { timeoutMs: 50 }],
])('%s', async (message, listener, more) => {
  const asked = ask(listener, more);
  await expect(asked).rejects.toThrow(UnreachableError);
  await expect(asked).rejects.toThrow(message);
});
