// Dispatches on raw connections, each through the door and, with a header that the door does not know, through the HTTP server:
// a caller must not be able to tell which of them answered.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { ResponseSchema, type ServerMsg } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { containers, startLane } from '../../test/lane.ts';
import { createDispatchDoor } from './dispatch-door.ts';

type Lane = Awaited<ReturnType<typeof startLane>>;
type Body = NonNullable<MessageInitShape<typeof ResponseSchema>['body']>;

const command = { type: 'list_containers' };
const bodyOf = (requestId: string, more: object = {}) =>
  JSON.stringify({ host_id: 'h', request_id: requestId, command, ...more });
const requestOf = (body: string, headers = '') =>
  `POST /v1/coold/dispatch HTTP/1.1\r\nhost: x\r\n${headers}content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
/** A header of no meaning, which takes a request past the door. */
const past = 'x-past: 1\r\n';

/** Sends a text on a connection of its own. @returns the first reply, without what the clock says */
async function replyTo(lane: Lane, text: string): Promise<string> {
  const socket = connect(lane.socketPath);
  socket.write(text);
  const reply = await readReply(socket);
  socket.destroy();
  return reply;
}

async function readReply(socket: Socket): Promise<string> {
  let text = '';
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
    const [head = '', body] = text.split('\r\n\r\n');
    const length = /content-length: (\d+)/.exec(head)?.[1];
    if (body !== undefined && length !== undefined && body.length >= Number(length))
      return text.replace(/\r\nDate: [^\r]*GMT\r\n/, '\r\nDate: now\r\n');
  }
}

const answering = (lane: Lane, body: Body) =>
  lane.onSent(
    ({ requestId }: ServerMsg) => void lane.answer(requestId, create(ResponseSchema, { body }).body),
  );

describe('a dispatch is answered in the same bytes through the door and past it', () => {
  const error: Body = { case: 'error', value: { code: 404, message: 'no such „container“', field: 'id' } };
  it.each<[string, string, Body?]>([
    ['an answer', bodyOf('r'), containers as Body],
    ['a host’s error, beyond ASCII', bodyOf('r'), error],
    ['an answer of another kind', bodyOf('r'), { case: 'build', value: {} }],
    ['a host that is not there', bodyOf('r', { host_id: 'absent' })],
    ['no such verb', bodyOf('r', { command: { type: 'no.such' } })],
    ['a field of no verb', bodyOf('r', { command: { ...command, colour: 'red' } })],
    ['keys beside the command', bodyOf('r', { more: 1 }), containers as Body],
    ['a bad request_id', bodyOf('../r')],
    ['a list', '[]'],
    ['a number', '1'],
    ['null', 'null'],
    ['JSON that ends too soon', '{"host_id":'],
    ['a key that would poison a prototype', '{"__proto__":{"x":1}}'],
    ['nesting that is too deep', `{"command":${'['.repeat(32)}${']'.repeat(32)}}`],
    ['text beyond ASCII', bodyOf('r', { host_id: 'hö' })],
  ])('%s', async (_, body, told) => {
    await using lane = await startLane();
    if (told !== undefined) answering(lane, told);
    const through = await replyTo(lane, requestOf(body));
    expect(through).toMatch(/^HTTP\/1\.1 \d+ /);
    expect(through).toBe(await replyTo(lane, requestOf(body, past)));
  });

  it('a dispatch whose handler throws, at once and when its answer comes', async () => {
    await using lane = await startLane();
    const unwritable = { case: 'listContainers', value: { containers: [null] } } as never;
    lane.onSent(({ requestId }) => void lane.answer(requestId, unwritable));
    const late = await replyTo(lane, requestOf(bodyOf('r')));
    expect(late).toMatch(/^HTTP\/1\.1 500 .*"request_id":"r".*internal_error/s);
    expect(late).toBe(await replyTo(lane, requestOf(bodyOf('r'), past)));
    lane.hosts.get = () => {
      throw new Error('a fault of a test');
    };
    expect(await replyTo(lane, requestOf(bodyOf('r')))).toBe(late);
  });

  it('a timeout, a lost stream and a full broker', async () => {
    await using lane = await startLane({ timeoutMs: 50, max: 1 });
    const timedOut = await replyTo(lane, requestOf(bodyOf('r')));
    expect(timedOut).toMatch(/^HTTP\/1\.1 504 /);
    expect(timedOut).toBe(await replyTo(lane, requestOf(bodyOf('r'), past)));
    await using full = await startLane({ max: 1 });
    const seen: string[][] = [];
    for (const headers of ['', past]) {
      const first = replyTo(full, requestOf(bodyOf('a'), headers));
      await soon(() => expect(full.pending.counts().waiting).toBe(1));
      const refused = await replyTo(full, requestOf(bodyOf('b'), headers));
      full.pending.disconnected(full.host);
      seen.push([refused, await first]);
    }
    expect(seen[0]?.[0]).toContain('broker_full');
    expect(seen[0]?.[1]).toContain('host_disconnected');
    expect(seen[0]).toEqual(seen[1]);
  });
});

describe('a connection', () => {
  it('carries one dispatch after another, and any other request between and after them', async () => {
    await using lane = await startLane();
    answering(lane, containers as Body);
    const socket = connect(lane.socketPath);
    const texts = [
      requestOf(bodyOf('r-1')),
      requestOf(bodyOf('r-2')),
      'GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n',
      requestOf(bodyOf('r-3')),
    ];
    const replies: string[] = [];
    for (const text of texts) {
      socket.write(text);
      replies.push(await readReply(socket));
    }
    expect(replies.map(reply => reply.split('\r\n\r\n')[1])).toEqual([
      expect.stringContaining('"r-1"'),
      expect.stringContaining('"r-2"'),
      '{"ok":true}',
      expect.stringContaining('"r-3"'),
    ]);
    socket.destroy();
  });

  it('is answered in order where requests come before their turn', async () => {
    await using lane = await startLane();
    answering(lane, containers as Body);
    const socket = connect(lane.socketPath);
    const health = 'GET /v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n';
    socket.write([requestOf(bodyOf('r-1')), requestOf(bodyOf('r-2')), health].join(''));
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    const ids = [...text.matchAll(/"(r-\d)"|\{"ok":true\}/g)].map(([found]) => found);
    expect(ids).toEqual(['"r-1"', '"r-2"', '{"ok":true}']);
    expect(lane.pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 0 });
  });

  it.each([1, 20, 60, 130])('is answered where its request is parted after %d bytes', async at => {
    await using lane = await startLane();
    answering(lane, containers as Body);
    const socket = connect(lane.socketPath);
    const request = requestOf(bodyOf('r'));
    socket.write(request.slice(0, at));
    await once(socket, 'ready');
    // The rest is another read at the other end.
    setTimeout(() => socket.write(request.slice(at)), 50);
    expect(await readReply(socket)).toMatch(/^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  it('that says nothing is given to the HTTP server, which times it out', async () => {
    await using given = new AsyncDisposableStack();
    const passed = Promise.withResolvers<Socket>();
    const door = createDispatchDoor({
      maxBodyBytes: 1000,
      keepAliveMs: 1000,
      stalledReplyMs: 1000,
      look: () => {},
      pass: passed.resolve,
      dispatch: () => expect.fail(),
      failed: () => expect.fail(),
    });
    given.defer(() => door.close());
    const server = createServer({ allowHalfOpen: true }, socket => door.take(socket));
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    given.defer(() => void socket.destroy());
    given.defer(() => void server.close());
    const theirs = await passed.promise;
    expect([theirs.listenerCount('close'), theirs.destroyed]).toEqual([0, false]);
    theirs.destroy();
  });

  it('whose caller leaves while it waits leaves its answer to the next, as past the door', async () => {
    await using lane = await startLane();
    for (const [leave, headers] of [
      ['destroy', ''],
      ['end', ''],
      ['end', past],
    ] as const) {
      const socket = connect(lane.socketPath);
      socket.on('error', () => {});
      socket.write(requestOf(bodyOf(`r-${leave}-${headers.length}`), headers));
      await soon(() => expect(lane.pending.counts().waiting).toBe(1));
      socket[leave]();
      await soon(() => expect(lane.pending.counts()).toMatchObject({ waiting: 0 }));
      socket.destroy();
    }
    expect(lane.pending.counts().overdue).toBe(3);
  });
});

describe('what is not a dispatch in its usual form is answered by the HTTP server', () => {
  const body = bodyOf('r', { host_id: 'absent' });
  it.each([
    ['HTTP/1.0', requestOf(body).replace('HTTP/1.1', 'HTTP/1.0'), 404],
    ['no host', requestOf(body).replace('host: x\r\n', ''), 400],
    ['two lengths', requestOf(body, 'content-length: 3\r\n'), 400],
    ['a length that is a word', requestOf(body).replace(/length: \d+/, 'length: ten'), 400],
    ['chunks beside a length', requestOf(body, 'transfer-encoding: chunked\r\n'), 400],
    ['a compressed body', requestOf(body, 'content-encoding: gzip\r\n'), 415],
    ['another type', requestOf(body).replace('application/json', 'text/plain'), 415],
    ['a query', requestOf(body).replace('dispatch HTTP', 'dispatch?a=1 HTTP'), 404],
    ['another method', requestOf(body).replace('POST', 'PUT'), 405],
    ['a line feed alone', requestOf(body, 'accept: a\nb\r\n'), 400],
    ['a head beyond the limit', requestOf(body, `accept: ${'a'.repeat(20_000)}\r\n`), 431],
    ['no body', requestOf(''), 400],
    ['an end that is asked for', requestOf(body, 'connection: close\r\n'), 404],
  ])('%s', async (_, text, status) => {
    await using lane = await startLane();
    const socket = connect(lane.socketPath);
    socket.write(text);
    const [chunk] = await once(socket, 'data');
    expect(String(chunk)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    socket.destroy();
  });
});
