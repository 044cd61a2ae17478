import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { expect, test } from 'vitest';
import { createSafeServer } from './http.ts';
import { ndjsonLines } from './ndjson.ts';

test('who stops reading in the midst of an answer is cut off after a while', async () => {
  let written = 0;
  const done = Promise.withResolvers<void>();
  const server = createSafeServer(async (_, res) => {
    const values = function* () {
      for (; written < 64; written += 1) yield 'x'.repeat(1 << 20);
    };
    await ndjsonLines(res, 1 << 20, 200).writeAll(values());
    done.resolve();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const idle = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  idle.on('error', () => {});
  idle.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await done.promise;
  expect(written).toBeLessThan(64);
  idle.destroy();
  server.close();
  await once(server, 'close');
});
