import { create, type Message } from '@bufbuild/protobuf';
import { HostEventsRequestSchema } from '@coold/proto';
import { createLogger } from '@coold/runtime/logger';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { createEventLog, type EventLog } from '../events/event-log.ts';
import { createStreams } from '../transport/streams.ts';
import { hostEventHandlers } from './host-events.ts';

const off = createLogger('coold', { level: 'off', components: new Map() }, false);
const never = new AbortController().signal;
const build = (n: number) => ({ type: 'build.state', build: { requestId: 'a', state: String(n) } });

function setUp(log: EventLog, options?: Parameters<typeof hostEventHandlers>[1]) {
  const handler = hostEventHandlers(log, options)['host.events'] ?? expect.fail('no handler');
  const form = handler.stream ?? expect.fail('no stream');
  const request = (fields: object): Message => create(HostEventsRequestSchema, fields);
  return {
    handler,
    form,
    request,
    ask: async (fields: object = {}) =>
      (await handler.run(request(fields), never)) as unknown as {
        events: { type: string; cursor: string }[];
      },
    listen(fields: object, signal: AbortSignal) {
      const lines: { type: string; cursor: string; reason: string }[] = [];
      const done = form.run(request(fields), {
        opened: async () => {},
        write: async ({ data }: { data: Buffer }) => {
          lines.push(JSON.parse(data.toString()));
        },
        stdin: () => new Promise(() => {}),
        resizes: () => {},
        signal,
      } as unknown as Parameters<typeof form.run>[1]);
      return { lines, done };
    },
  };
}

function begun(options: Parameters<typeof createEventLog>[0] = {}) {
  const log = createEventLog(options);
  log.begin();
  return log;
}

describe('host.events', () => {
  it('as a plain answer returns the events since a cursor, up to a limit', async () => {
    const log = begun();
    const { ask } = setUp(log);
    const [first] = (await ask()).events;
    expect(first).toMatchObject({ type: 'begin' });
    for (let n = 0; n < 1500; n += 1) log.know('a', build(n));
    const part = (await ask({ since: first?.cursor })).events;
    expect(part).toHaveLength(1000);
    const others = (await ask({ since: part.at(-1)?.cursor })).events;
    expect(others).toHaveLength(500);
    expect((await ask({ since: others.at(-1)?.cursor, follow: false })).events).toEqual([]);
  });

  it('refuses an invalid cursor, and to follow without a stream', async () => {
    const { ask } = setUp(begun());
    await expect(ask({ since: 'x' })).rejects.toMatchObject({ code: 400, field: 'since' });
    await expect(ask({ follow: true })).rejects.toMatchObject({ code: 400, field: 'follow' });
  });

  it('as a stream sends events as they happen, and a sign of life when there are none', async () => {
    const log = begun();
    const stop = new AbortController();
    const { lines, done } = setUp(log, { aliveMs: 20 }).listen({}, stop.signal);
    await soon(() => expect(lines.map(({ type }) => type)).toContain('alive'));
    log.know('a', build(1));
    await soon(() => expect(lines.map(({ type }) => type)).toContain('build.state'));
    stop.abort();
    await done;
    expect(lines[0]).toMatchObject({ type: 'begin' });
  });

  it('as a stream that does not follow ends after the present events', async () => {
    const { lines, done } = setUp(begun()).listen({ follow: false }, never);
    expect(await done).toEqual({});
    expect(lines.map(({ type }) => type)).toEqual(['begin']);
  });

  it('waits for a coold that has just started, and refuses where that takes too long', async () => {
    const log = createEventLog();
    const waiting = setUp(log).ask();
    log.know('a', build(1));
    log.begin();
    expect((await waiting).events).toMatchObject([{ type: 'begin', known: [{ type: 'build.state' }] }]);
    const late = setUp(createEventLog(), { beginMs: 20 }).ask();
    await expect(late).rejects.toMatchObject({ code: 503, reason: 'host_starting' });
  });

  it('a thousand listeners, half of which read nothing, cost no more than the log, and each learns what it missed', async () => {
    const log = begun({ max: 100 });
    const { form, request } = setUp(log);
    const streams = createStreams(off);
    const stop = new AbortController();
    const reading = { gaps: 0, last: 0 };
    let unread = 0;
    const open = Promise.withResolvers<void>();
    const run = (takes: boolean) =>
      streams.run(
        stop.signal,
        signal =>
          form.run(request({}), {
            opened: async () => {},
            write: async ({ data }: { data: Buffer }) => {
              if (!takes) {
                unread += 1;
                await open.promise;
              }
              const event = JSON.parse(data.toString()) as { type: string; build?: { state: string } };
              if (event.type === 'gap') reading.gaps += 1;
              if (event.build?.state === '400') reading.last += 1;
            },
            signal,
          } as unknown as Parameters<typeof form.run>[1]),
        'light',
      );
    const all = Array.from({ length: 1000 }, (_, n) => run(n % 2 === 0));
    await soon(() => expect(unread).toBe(500));
    const before = process.memoryUsage().heapUsed;
    for (let n = 1; n <= 400; n += 1) {
      log.know('a', build(n));
      if (n % 50 === 0) await new Promise(setImmediate);
    }
    await soon(() => expect(reading.last).toBe(500));
    expect(reading.gaps, 'of those that read').toBe(0);
    expect(unread, 'nothing is written to one that does not read').toBe(500);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 ** 2);
    open.resolve();
    // The rest learn that they missed something, and how it is now.
    await soon(() => expect(reading.gaps).toBe(500));
    stop.abort();
    await Promise.allSettled(all);
  });

  it('listeners beyond what there is room for are refused, and leave other streams their room', async () => {
    const streams = createStreams(off, 1, 1);
    const stop = new AbortController();
    const wait = () => new Promise<void>(resolve => stop.signal.addEventListener('abort', () => resolve()));
    const light = streams.run(stop.signal, wait, 'light');
    await expect(streams.run(stop.signal, wait, 'light')).rejects.toMatchObject({ reason: 'host_busy' });
    const usual = streams.run(stop.signal, wait);
    await expect(streams.run(stop.signal, wait)).rejects.toMatchObject({ reason: 'host_busy' });
    stop.abort();
    await Promise.all([light, usual]);
  });
});
