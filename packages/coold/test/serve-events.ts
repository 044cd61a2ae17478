// A process that serves host.events over REST as coold does. Each SIGUSR2 makes a burst of events; a line a second says what that costs it.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { readVerbs } from '@coold/proto';
import { createLogger } from '@coold/runtime/logger';
import { createEventLog } from '../src/events/event-log.ts';
import { createHttpServer } from '../src/transport/http-server.ts';
import { createMetrics } from '../src/transport/metrics.ts';
import { createRest } from '../src/transport/rest.ts';
import { restRoutes } from '../src/transport/rest-route.ts';
import { createStreams } from '../src/transport/streams.ts';
import { hostEventHandlers } from '../src/verbs/host-events.ts';
import { joinSurface } from '../src/verbs/surface.ts';

const [known = '0', kept = '0', burst = '0'] = process.argv.slice(2);
const off = createLogger('coold', { level: 'off', components: new Map() }, false);
const say = (line: object) => void process.stderr.write(`${JSON.stringify(line)}\n`);
const build = (requestId: string, state: string) => ({ type: 'build.state', build: { requestId, state } });

const log = createEventLog({ max: Number(kept) });
for (let n = 0; n < Number(known); n += 1)
  log.know(`build ${n}`, build(String(n).padEnd(200, '.'), 'queued'));
log.begin();
const handlers = hostEventHandlers(log);
const verbs = new Map([...readVerbs()].filter(([name]) => Object.hasOwn(handlers, name)));
const server = createHttpServer({
  handle: await createRest({
    routes: restRoutes(joinSurface(verbs, handlers)),
    mayCall: header => header === 'Bearer token',
    metrics: createMetrics('1'),
    document: undefined,
    record: () => {},
    streams: createStreams(off),
    log: off,
  }),
  tls: undefined,
  log: off,
});

let happened = 0;
async function happen(): Promise<void> {
  for (let n = 1; n <= Number(burst); n += 1) {
    happened += 1;
    log.know('build burst', build('burst', String(happened).padEnd(8000, '.')));
    if (n % 5 === 0) await nextTurn();
  }
  say({ msg: 'burst', happened });
}
process.on('SIGUSR2', () => void happen());

const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
setInterval(() => {
  const { rss, heapUsed, external } = process.memoryUsage();
  say({ msg: 'cost', rss, heapUsed, external, stalledMs: Math.round(delay.max / 1e6) });
  delay.reset();
}, 1000);
say({ msg: 'listening', address: await server.listen({ host: '127.0.0.1', port: 0 }) });
