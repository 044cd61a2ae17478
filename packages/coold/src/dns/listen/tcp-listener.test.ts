import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createMessageReader, framed } from '../tcp-frames.ts';
import type { ServeQuery } from './serve-query.ts';
import { listenTcp, type TcpLimits } from './tcp-listener.ts';

const limits: TcpLimits = { connections: 3, idleMs: 600_000, pending: 4, unsentBytes: 256 * 1024 };
const echo: ServeQuery = (packet, _transport, _peer, reply) => reply(packet);

async function listen(serve: ServeQuery, change: Partial<TcpLimits> = {}) {
  const listener = await listenTcp({ host: '127.0.0.1', port: 0 }, serve, {
    limits: { ...limits, ...change },
  });
  return {
    async connect(): Promise<Socket> {
      const socket = connect(listener.port, '127.0.0.1');
      socket.on('error', () => {});
      await once(socket, 'connect');
      return socket;
    },
    [Symbol.dispose]: () => listener.close(),
  };
}

/** Its end, whichever way it comes. */
function ended(socket: Socket): Promise<void> {
  return new Promise(resolve => socket.once('close', () => resolve()));
}

/** Asks for the one answer that nothing else is on its way with. */
async function exchange(socket: Socket, text: string): Promise<string> {
  const answer = Promise.withResolvers<string>();
  const read = createMessageReader(message => answer.resolve(String(message)));
  socket.on('data', read);
  socket.write(framed(Buffer.from(text)));
  const told = await answer.promise;
  socket.off('data', read);
  return told;
}

describe('a connection', () => {
  it('that brings nothing whole in time is ended, however many bytes trickle in', async () => {
    using listener = await listen(echo, { idleMs: 300 });
    const socket = await listener.connect();
    const trickle = setInterval(() => socket.write('\0'), 20);
    // Zero lengths would be whole messages; the first says that much is to come.
    socket.write(Buffer.from([0xff]));
    socket.resume();
    await ended(socket);
    clearInterval(trickle);
  });

  it('that asks again and again is kept', async () => {
    using listener = await listen(echo, { idleMs: 1000 });
    const socket = await listener.connect();
    for (let round = 0; round < 15; round += 1) {
      expect(await exchange(socket, `round ${round}`)).toBe(`round ${round}`);
      await delay(100);
    }
    socket.destroy();
  });

  it('whose client has said all it will say still gets all its answers, and then its end', async () => {
    const waiting: (() => void)[] = [];
    using listener = await listen((packet, _transport, _peer, reply) => {
      if (packet.length > 1) reply(packet);
      else waiting.push(() => reply(packet));
    });
    const socket = await listener.connect();
    const answers: string[] = [];
    const read = createMessageReader(message => void answers.push(String(message)));
    socket.on('data', read);
    // More than may wait: not all of them are taken before its last word is there.
    const texts = ['at once', ...'abcdefgh'];
    socket.end(Buffer.concat(texts.map(text => framed(Buffer.from(text)))));
    const release = setInterval(() => waiting.shift()?.(), 1);
    await once(socket, 'end');
    clearInterval(release);
    expect(answers.toSorted()).toEqual(texts.toSorted());
  });

  it('too many takes the place of the one that was quiet for longest', async () => {
    using listener = await listen(echo);
    const [a, b, c] = [await listener.connect(), await listener.connect(), await listener.connect()];
    for (const [index, socket] of [b, c, a].entries()) await exchange(socket, `${index}`);
    const closed = ended(b.resume());
    const d = await listener.connect();
    await closed;
    for (const socket of [a, c, d]) expect(await exchange(socket, 'still')).toBe('still');
    for (const socket of [a, c, d]) socket.destroy();
  });

  it('whose answers are not taken is cut off before they fill the memory', async () => {
    const answer = Buffer.alloc(60_000);
    let served = 0;
    using listener = await listen((_query, _transport, _peer, reply) => {
      served += 1;
      reply(answer);
    });
    const socket = await listener.connect();
    socket.pause();
    const query = framed(Buffer.from('?'));
    const closed = ended(socket);
    for (let count = 0; count < 5000 && !socket.destroyed; count += 1) {
      socket.write(query);
      if (count % 100 === 0) await delay(1);
    }
    socket.resume();
    await closed;
    expect(served).toBeLessThan(5000);
  });

  it('is not read while too many of its queries wait', async () => {
    const waiting: ((answer: Buffer) => void)[] = [];
    using listener = await listen((_query, _transport, _peer, reply) => void waiting.push(reply));
    const socket = await listener.connect();
    const answers: number[] = [];
    const all = new Promise<void>(resolve => {
      const read = createMessageReader(message => {
        answers.push(message[0] ?? -1);
        if (answers.length === 50) resolve();
      });
      socket.on('data', read);
    });
    let mostWaiting = 0;
    const release = setInterval(() => {
      mostWaiting = Math.max(mostWaiting, waiting.length);
      for (const done of waiting.splice(0)) done(Buffer.from([answers.length]));
    }, 5);
    for (let count = 0; count < 50; count += 1) {
      socket.write(framed(Buffer.from([count])));
      await delay(1);
    }
    await all;
    clearInterval(release);
    expect(mostWaiting).toBeLessThanOrEqual(4);
    socket.destroy();
  });

  it('has no more queries wait than it may when they come in one piece, and gets all its answers', async () => {
    const waiting: ((answer: Buffer) => void)[] = [];
    using listener = await listen((_query, _transport, _peer, reply) => void waiting.push(reply));
    const socket = await listener.connect();
    let answers = 0;
    const all = new Promise<void>(resolve => {
      const read = createMessageReader(() => {
        answers += 1;
        if (answers === 50) resolve();
      });
      socket.on('data', read);
    });
    let mostWaiting = 0;
    const release = setInterval(() => {
      mostWaiting = Math.max(mostWaiting, waiting.length);
      for (const done of waiting.splice(0)) done(Buffer.from([answers]));
    }, 5);
    socket.write(Buffer.concat(Array.from({ length: 50 }, (_, n) => framed(Buffer.from([n])))));
    await all;
    clearInterval(release);
    expect(mostWaiting).toBeLessThanOrEqual(4);
    socket.destroy();
  });
});
