import { once } from 'node:events';
import { connect } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { ResponseSchema } from '@coold/proto';
import { soon } from '@coold/testbed/soon';
import { describe, expect, it } from 'vitest';
import { containers, startLane } from '../../test/lane.ts';

describe('a lane that stops', () => {
  const parked = (requestId: string) => {
    const body = JSON.stringify({
      host_id: 'h',
      request_id: requestId,
      command: { type: 'list_containers' },
    });
    return `POST /v1/coold/dispatch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  };

  it('answers what is under way on connections that are kept, and says they end', async () => {
    await using lane = await startLane();
    const socket = connect(lane.socketPath);
    socket.write(parked('r'));
    await soon(() => expect(lane.sent).toHaveLength(1));
    const stopped = lane.lane.stop(5000);
    lane.answer('r', containers);
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text.toLowerCase()).toContain('connection: close');
    await stopped;
  });

  it('writes a large answer whole to a caller that reads slowly', async () => {
    await using lane = await startLane();
    const socket = connect(lane.socketPath);
    socket.pause();
    socket.write(parked('r'));
    await soon(() => expect(lane.sent).toHaveLength(1));
    const id = 'x'.repeat(3 * 1024 * 1024);
    const large = create(ResponseSchema, {
      body: { case: 'listContainers', value: { containers: [{ id }] } },
    });
    lane.answer('r', large.body);
    const stopped = lane.lane.stop(10_000);
    let size = 0;
    for await (const chunk of socket) size += (chunk as Buffer).length;
    expect(size).toBeGreaterThan(id.length);
    await stopped;
    expect(lane.pending.counts()).toEqual({ waiting: 0, landed: 0, overdue: 0 });
  });

  it('does not wait for connections that never finish their request', async () => {
    await using lane = await startLane();
    const sockets = [
      'GET /v1/hea',
      'POST /v1/coold/dispatch HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{',
    ].map(begin => {
      const socket = connect(lane.socketPath);
      socket.on('error', () => {});
      socket.write(begin);
      return socket;
    });
    await Promise.all(sockets.map(socket => once(socket, 'connect')));
    await lane.lane.stop(200);
    for (const socket of sockets) socket.destroy();
  });
});
