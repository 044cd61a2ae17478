import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type Address, errorMessage } from '@coold/runtime';
import { createMessageReader, framed } from '../tcp-frames.ts';
import { type AnswerPacket, selfQueryType } from '../zone/answer.ts';

/** What a client of a listener would get. `foreign`: the answer is not from this process. */
export type Verdict =
  | { kind: 'well' }
  | { kind: 'silent'; transport: 'udp' | 'tcp'; reason: string }
  | { kind: 'foreign'; transport: 'udp' | 'tcp' };

/** Per listening thread, because the source port decides which thread gets a question. */
const udpQuestionsAThread = 8;

/**
 * Asks a listener for something that only this process answers: the serial in the answer is drawn at its start.
 *
 * @param zone on the wire; the question is for its apex
 * @param timeoutMs per transport
 * @param threads the number that listen over UDP
 */
export async function askSelf(
  at: Address,
  zone: string,
  answerPacket: AnswerPacket,
  timeoutMs: number,
  threads = 1,
): Promise<Verdict> {
  const query = selfQuery(zone);
  const expected = answerPacket(query, 'udp');
  if (expected.kind !== 'reply') throw new Error('the apex is not in the zone');
  for (const transport of ['udp', 'tcp'] as const) {
    const stop = AbortSignal.timeout(timeoutMs);
    try {
      const questions = transport === 'tcp' || threads === 1 ? 1 : threads * udpQuestionsAThread;
      const ask = transport === 'udp' ? overUdp : overTcp;
      const answers = await Promise.all(Array.from({ length: questions }, () => ask(at, query, stop)));
      if (!answers.every(answer => answer.equals(expected.packet))) return { kind: 'foreign', transport };
    } catch (error) {
      const reason = stop.aborted ? `no answer within ${timeoutMs} ms` : errorMessage(error);
      return { kind: 'silent', transport, reason };
    }
  }
  return { kind: 'well' };
}

function selfQuery(zone: string): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(randomInt(0x10000), 0);
  header.writeUInt16BE(1, 4);
  const end = Buffer.alloc(4);
  end.writeUInt16BE(selfQueryType, 0);
  end.writeUInt16BE(1, 2);
  return Buffer.concat([header, Buffer.from(zone, 'latin1'), end]);
}

async function overUdp({ host, port }: Address, query: Buffer, signal: AbortSignal): Promise<Buffer> {
  const socket = createSocket('udp4');
  try {
    socket.connect(port, host);
    await once(socket, 'connect', { signal });
    socket.send(query);
    const [message] = (await once(socket, 'message', { signal })) as [Buffer];
    return message;
  } finally {
    socket.close();
  }
}

async function overTcp({ host, port }: Address, query: Buffer, signal: AbortSignal): Promise<Buffer> {
  const socket = connect({ host, port, signal });
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the connection was closed without an answer')));
      socket.on('data', createMessageReader(resolve));
      socket.write(framed(query));
    });
  } finally {
    socket.destroy();
  }
}
