// A broker whose clock is off, or that hangs, is played: the real one is asked in e2e/scenarios/doctor.long.test.ts.
import { createServer } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { brokerUrl } from '../link/broker-url.ts';
import { askBroker } from './broker.ts';

const servers: Listening[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
type Listening = Pick<Server, 'close' | 'listen' | 'address'>;
const never = new AbortController().signal;

async function serve(server: Listening): Promise<number> {
  servers.push(server);
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const at = (port: number) => brokerUrl.parse(`grpc://127.0.0.1:${port}`) ?? expect.fail('no URL');

it('the date of the answer is the clock of the broker', async () => {
  const server = createServer((_request, response) => {
    response.setHeader('date', new Date(Date.now() + 3_600_000).toUTCString());
    response.writeHead(405).end();
  });
  const port = await serve(server);
  const answer = await askBroker(at(port), undefined, never);
  expect(answer).toEqual({ kind: 'answered', aheadMs: expect.any(Number) });
  const { aheadMs = 0 } = answer as { aheadMs?: number };
  expect(Math.abs(aheadMs - 3_600_000)).toBeLessThan(3000);
});

it('a broker that is not there, or that does not answer in time, is unreachable', async () => {
  const port = await serve(createTcpServer());
  const gone = new AbortController();
  const silent = askBroker(at(port), undefined, gone.signal);
  gone.abort();
  expect(await silent).toMatchObject({ kind: 'unreachable' });
  for (const server of servers.splice(0))
    await new Promise(resolve => server.close(() => resolve(undefined)));
  expect(await askBroker(at(port), undefined, never)).toEqual({
    kind: 'unreachable',
    why: expect.stringMatching(/^connect ECONNREFUSED/),
  });
});
