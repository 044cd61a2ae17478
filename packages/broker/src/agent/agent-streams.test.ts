import { readVerbs } from '@coold/proto';
import { playStreams, type StubStream } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { startAgents, tokenFor } from '../../test/agents.ts';
import { compileRoutes } from '../hosts/router.ts';
import { createOpenStream } from '../streams/open-stream.ts';
import type { News, Session } from '../streams/session.ts';

const windowBytes = 1000;

/** The broker without its lane: streamed commands over real gRPC to hosts that are stubs. */
async function setUp() {
  const broker = await startAgents({ maxPending: 10_000, windowBytes });
  const { hosts, streams } = broker;
  const openStream = createOpenStream({ hosts, streams, routes: compileRoutes(readVerbs()) });
  return {
    ...broker,
    /** A host and the streams that it is asked for, as they come. */
    async connect(hostId: string, reads = true) {
      const asked: StubStream[] = [];
      const token = await tokenFor(hostId);
      const onCommand = playStreams(stream => void asked.push(stream));
      const host = broker.connect({ token, reads, onCommand });
      await host.accepted;
      return { host, stream: () => soon(() => asked.shift() ?? expect.fail('no stream')) };
    },
    open(hostId: string, requestId: string): Session {
      const command = { type: 'containers.logs', id: 'web', follow: true };
      const asked = openStream({ host_id: hostId, request_id: requestId, command });
      if ('reply' in asked) throw new Error(JSON.stringify(asked.reply));
      return asked.session;
    },
  };
}

/** What comes next. */
const next = (session: Session): Promise<News> => soon(() => session.next() ?? expect.fail('nothing yet'));

describe('a streamed command', () => {
  it('goes to its host and comes back frame by frame, with credit', async () => {
    using broker = await setUp();
    const { host, stream } = await broker.connect('h');
    const session = broker.open('h', 'r');
    const played = await stream();
    expect(played.credit()).toBe(windowBytes);
    played.open();
    expect(await session.opening).toEqual({ kind: 'opened' });
    const writing = played.write('x'.repeat(windowBytes * 3));
    let read = 0;
    while (read < windowBytes * 3) {
      const news = await next(session);
      if (news.kind !== 'output') expect.fail(news.kind);
      expect(news.data.length).toBeLessThanOrEqual(windowBytes);
      read += news.data.length;
      session.taken(news.data.length);
    }
    await writing;
    played.end(0);
    expect(await next(session)).toEqual({ kind: 'ended', exitCode: 0 });
    session.close();
    host.cut();
  });

  it('ends with its host’s connection, also when a newer one takes its place', async () => {
    using broker = await setUp();
    const first = await broker.connect('h');
    const session = broker.open('h', 'r');
    (await first.stream()).open();
    await session.opening;
    const second = await broker.connect('h');
    expect(await next(session)).toMatchObject({ kind: 'failed', failure: { message: 'host disconnected' } });
    session.close();
    const again = broker.open('h', 'r');
    await second.stream();
    second.host.cut();
    expect(await again.opening).toMatchObject({ kind: 'refused', failure: { code: 503 } });
  });

  it('is not touched by another host that uses its id', async () => {
    using broker = await setUp();
    const [honest, liar] = [await broker.connect('honest'), await broker.connect('liar')];
    const session = broker.open('honest', 'r');
    const played = await honest.stream();
    const { requestId } = played.command;
    liar.host.respond({ requestId, body: { case: 'streamOpened', value: { credit: 1n } } });
    liar.host.respond({ requestId, body: { case: 'error', value: { code: 500, message: 'no' } } });
    // The liar's own stream opens after all that, on the same connection.
    const own = broker.open('liar', 's');
    (await liar.stream()).open();
    await own.opening;
    played.open();
    expect(await session.opening).toEqual({ kind: 'opened' });
    expect(session.next()).toBeUndefined();
    honest.host.cut();
    liar.host.cut();
  });

  it('is refused for a host that reads nothing, and those it has can still be ended', async () => {
    using broker = await setUp();
    const { host } = await broker.connect('h', false);
    const sessions: Session[] = [];
    let refused: unknown;
    for (let n = 0; n < 8000 && refused === undefined; n += 1) {
      try {
        sessions.push(broker.open('h', `r-${n}`));
      } catch (error) {
        refused = error;
      }
    }
    expect(String(refused)).toContain('host does not read its stream');
    for (const session of sessions) session.close();
    expect(broker.streams.count()).toBe(0);
    host.cut();
  });
});
