// What a real socket cannot be brought to do: the connected socket is scripted. Real ones are the forwarder's tests.
import type { ConnectedEvents, ConnectedSocket } from '@coold/udp-io';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { askFor } from '../../../test/dns-questions.ts';
import { createDeadlineQueue } from './deadline-queue.ts';
import { UpstreamSocket } from './upstream-socket.ts';

const upstream = { host: '192.0.2.1', port: 53 };

/** A socket over a connected socket that does what it is told. */
function scripted(send: ConnectedSocket['send'] = () => {}) {
  const sent: Buffer[] = [];
  let events: ConnectedEvents | undefined;
  let isClosed = false;
  let id = 0;
  const socket = new UpstreamSocket({
    upstream,
    step: createDeadlineQueue(1000),
    tries: 2,
    drawId: () => {
      id += 1;
      return id;
    },
    onOpen() {},
    connect: (_upstream, given) => {
      events = given;
      return {
        send(message, onFailed) {
          sent.push(Buffer.from(message));
          send(message, onFailed);
        },
        close() {
          isClosed = true;
        },
      };
    },
  });
  if (events === undefined) throw new Error('no socket was opened');
  const answers: (Buffer | undefined)[] = [];
  const ask = () => socket.ask(askFor('example.com', 1), answer => void answers.push(answer));
  return { socket, sent, events, answers, ask, isClosed: () => isClosed };
}

const answerTo = (query: Buffer) => {
  const answer = Buffer.from(query);
  answer.writeUInt16BE(0x8180, 2);
  return answer;
};

describe('a socket to the upstream', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('sends once it is open, again when half the time has passed, and gives up in the end', () => {
    const { events, sent, answers, ask, socket } = scripted();
    ask();
    expect([sent.length, socket.port]).toEqual([0, 0]);
    events.onOpen(1, 4242);
    expect([sent.length, socket.port]).toEqual([1, 4242]);
    vi.advanceTimersByTime(1000);
    expect(sent).toHaveLength(2);
    expect(sent[1]).toEqual(sent[0]);
    vi.advanceTimersByTime(999);
    expect(answers).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(answers).toEqual([undefined]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('answers each once, whatever comes afterwards', () => {
    const { events, sent, answers, ask } = scripted();
    events.onOpen(1, 4242);
    for (let count = 0; count < 3; count += 1) ask();
    const [first, second] = sent.map(answerTo);
    if (first === undefined || second === undefined) throw new Error('nothing was sent');
    events.onMessage(second);
    events.onMessage(second);
    events.onMessage(first);
    expect(answers).toEqual([second, first]);
    events.onError(true);
    events.onError(true);
    expect(answers).toEqual([second, first, undefined]);
    vi.advanceTimersByTime(5000);
    expect(answers).toHaveLength(3);
  });

  it.each([true, false])('tells at once of what cannot be sent, refused: %s', isRefused => {
    const { events, answers, ask, socket } = scripted((_message, onFailed) => onFailed(isRefused));
    events.onOpen(1, 4242);
    ask();
    expect(answers).toEqual([undefined]);
    // Where nothing listens, another socket would not be heard either.
    expect(socket.isBroken).toBe(!isRefused);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('fails at the second try, too', () => {
    let tries = 0;
    const { events, answers, ask } = scripted((_message, onFailed) => {
      tries += 1;
      if (tries === 2) onFailed(false);
    });
    events.onOpen(1, 4242);
    ask();
    vi.advanceTimersByTime(1000);
    expect(answers).toEqual([undefined]);
    vi.advanceTimersByTime(2000);
    expect([answers.length, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it('that could not be opened fails all there is', () => {
    const { events, sent, answers, ask, socket } = scripted();
    ask();
    events.onError(false);
    ask();
    expect([answers, sent.length, socket.isBroken]).toEqual([[undefined, undefined], 0, true]);
  });

  it('that is retired answers what it was asked, is closed then, and takes no more', () => {
    const { events, sent, answers, ask, socket, isClosed } = scripted();
    events.onOpen(1, 4242);
    ask();
    socket.retire();
    expect(isClosed()).toBe(false);
    events.onMessage(answerTo(sent[0] ?? Buffer.alloc(0)));
    expect([answers.length, isClosed()]).toEqual([1, true]);
    ask();
    expect([answers.length, sent.length]).toEqual([2, 1]);
  });
});
