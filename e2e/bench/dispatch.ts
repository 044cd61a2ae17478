import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPairing, freePort, scratchFolder, startScript, unixHttp } from '@coold/testbed';
import { connect } from '@nats-io/transport-node';
import { closedLoop, type Measurement, median } from './load.ts';
import { startNatsServer } from './nats-server.ts';
import type { Suite } from './suite.ts';

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const concurrency = 64;

/**
 * The lane from HTTP to a host's answer and back: a real broker and a stub host, against fastify and grpc-js joined with
 * nothing between them, and against request and reply over a nats-server, in turns, with the same load, body and answer.
 */
export const dispatchSuite: Suite = {
  name: 'dispatch',
  summary: `coold dispatch over the unix socket, ${concurrency} requests at a time`,
  async run(quick) {
    const [rounds, roundMs] = quick ? [1, 200] : [5, 2000];
    await using cleanup = new AsyncDisposableStack();
    const { path: folder } = cleanup.use(await scratchFolder());
    const port = await freePort();
    const pairing = await createPairing({ folder, hostId: 'bench', port, podmanSocket: '/nowhere' });
    const broker = cleanup.use(pairing.startBroker({ env: { BROKER_LOG_LEVEL: 'info' } }));
    await broker.logged(line => line.msg === 'listening for Laravel');
    const token = await readFile(join(folder, 'host-jwt'), 'utf8');
    const host = cleanup.use(
      startScript(script('stub-host.ts'), { args: ['broker', `127.0.0.1:${port}`, token] }),
    );
    await host.logged(line => line.msg === 'connected');

    const echoPort = await freePort();
    const echoSocket = join(folder, 'echo.sock');
    const echo = cleanup.use(startScript(script('echo-server.ts'), { args: [echoSocket, String(echoPort)] }));
    await echo.logged(line => line.msg === 'listening');
    const echoHost = cleanup.use(
      startScript(script('stub-host.ts'), { args: ['echo', `127.0.0.1:${echoPort}`] }),
    );
    await echoHost.logged(line => line.msg === 'connected');

    const natsPort = await freePort();
    cleanup.use(await startNatsServer(natsPort));
    const natsHost = cleanup.use(
      startScript(script('stub-host.ts'), { args: ['nats', `127.0.0.1:${natsPort}`] }),
    );
    await natsHost.logged(line => line.msg === 'connected');
    const nats = cleanup.adopt(await connect({ servers: `127.0.0.1:${natsPort}` }), it => it.close());

    let count = 0;
    const post = (socket: string, path: string) => {
      const http = cleanup.use(unixHttp(socket));
      return async () => {
        count += 1;
        const json = { host_id: 'bench', request_id: `bench-${count}`, command: { type: 'list_containers' } };
        const { status, text } = await http.request({ method: 'POST', path, json });
        if (status !== 200 || !text.includes('"status":"ok"'))
          throw new Error(`${path} answered ${status}: ${text}`);
      };
    };
    const overNats = async () => {
      count += 1;
      const body = { host_id: 'bench', request_id: `bench-${count}`, command: { type: 'list_containers' } };
      const answer = await nats.request('host.bench', JSON.stringify(body), { timeout: 10_000 });
      if (!answer.string().includes('"status":"ok"')) throw new Error(`nats: ${answer.string()}`);
    };
    const subjects = {
      broker: { request: post(pairing.socketPath, '/v1/coold/dispatch'), seen: [] as Measurement[] },
      echo: { request: post(echoSocket, '/echo'), seen: [] as Measurement[] },
      nats: { request: overNats, seen: [] as Measurement[] },
    };
    for (const { request } of Object.values(subjects))
      await closedLoop(request, { concurrency, durationMs: roundMs });
    for (let round = 0; round < rounds; round += 1)
      for (const { request, seen } of Object.values(subjects))
        seen.push(await closedLoop(request, { concurrency, durationMs: roundMs }));

    const [ours, bare, message] = [
      median(subjects.broker.seen),
      median(subjects.echo.seen),
      median(subjects.nats.seen),
    ];
    return {
      rows: [
        { subject: 'broker, real; host, stub', ...ours },
        { subject: 'bare fastify + grpc-js echo', ...bare },
        { subject: 'nats-server, request and reply', ...message },
      ],
      ratios: [
        { what: 'req/s, broker over bare echo', value: ours.rate / bare.rate, aim: 'at least 0.8' },
        {
          what: 'req/s, broker over nats-server',
          value: ours.rate / message.rate,
          aim: 'none: no HTTP there, and no checks',
        },
      ],
    };
  },
};
