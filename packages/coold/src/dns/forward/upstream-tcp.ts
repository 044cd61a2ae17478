import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import type { Address } from '@coold/runtime';
import { createMessageReader, framed } from '../tcp-frames.ts';
import { answers, withId } from './exchange.ts';

/** Asks over a separate connection. @returns undefined when no answer came in time or can come */
export function askOverTcp(upstream: Address, query: Buffer, timeoutMs: number): Promise<Buffer | undefined> {
  return new Promise(resolve => {
    const sent = withId(query, randomInt(0x10000));
    const socket = connect({ host: upstream.host, port: upstream.port });
    const finish = (answer: Buffer | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(undefined), timeoutMs);
    const read = createMessageReader(message => {
      if (answers(message, sent)) finish(message);
    });
    socket.on('data', read);
    socket.once('error', () => finish(undefined));
    socket.once('close', () => finish(undefined));
    socket.write(framed(sent));
  });
}
