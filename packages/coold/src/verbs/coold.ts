import { VerbError } from '@coold/errors';
import type { CooldLogsRequest } from '@coold/proto';
import {
  CooldLogsRequestSchema,
  CooldLogsResponseSchema,
  encodeOutput,
  maxStreamChunkBytes,
} from '@coold/proto';
import { type Handler, handler, streamForm } from '../handler.ts';
import { JournalError, type OwnJournal } from '../own-journal.ts';
import { createFramer } from '../podman/framer.ts';
import { invalid } from './names.ts';

/** What a plain dispatch returns of logs (docs/contract.md §3), in bytes. */
const maxBytes = 1 << 20;
const defaultTail = 200;
const maxTail = 100_000;

/** The verbs that tell of coold itself. */
export function cooldHandlers(journal: OwnJournal): Record<string, Handler> {
  const logs = handler(CooldLogsRequestSchema, CooldLogsResponseSchema, async (request, signal) => {
    if (request.follow) throw invalid('follow', 'expected a stream to be asked for');
    const { text, truncated } = await told(journal.last(readTail(request), maxBytes, signal));
    return { frames: text === '' ? [] : [encodeOutput('stdout', Buffer.from(text))], truncated };
  });
  const stream = streamForm(CooldLogsRequestSchema, false, async (request, io) => {
    const lines = readTail(request);
    const framer = createFramer(maxStreamChunkBytes);
    const reader = journal.read({ lines, follow: request.follow }, io.signal);
    await io.opened();
    await told(
      (async () => {
        for await (const data of reader)
          for (const part of framer.push({ stream: 'stdout', data })) await io.write(part);
      })(),
    );
    for (const part of framer.end()) await io.write(part);
    return {};
  });
  return { 'coold.logs': { ...logs, stream } };
}

/** @throws VerbError 400 */
function readTail({ tail }: CooldLogsRequest): number {
  if (tail !== undefined && tail > maxTail) throw invalid('tail', `expected 0 to ${maxTail} lines`);
  return tail ?? defaultTail;
}

/** @throws VerbError 502 where the journal did not answer */
async function told<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof JournalError) throw new VerbError('system_failed', cause.message, { cause });
    throw cause;
  }
}
