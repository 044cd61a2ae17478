import { create } from '@bufbuild/protobuf';
import { VerbError } from '@coold/errors';
import { HostEventSchema, HostEventsRequestSchema, HostEventsResponseSchema, jsonCodec } from '@coold/proto';
import { CursorError, type EventLog, type EventReader, type HostEventInit } from '../events/event-log.ts';
import { type Handler, handler, streamForm } from '../handler.ts';
import { invalid } from './names.ts';

/** Of an answer that is no stream. */
const maxEvents = 1000;
/** Between two lines of a stream in which nothing happens: so each end sees that the other is still there. In ms. */
const defaultAliveMs = 15_000;
/** How long a coold that has just started may take to look at its containers, before a caller is refused. In ms. */
const defaultBeginMs = 8000;

/** host.events: what changes on this host (docs/contract.md §3). */
export function hostEventHandlers(
  log: Pick<EventLog, 'read' | 'hasBegun' | 'changes'>,
  { aliveMs = defaultAliveMs, beginMs = defaultBeginMs } = {},
): Record<string, Handler> {
  const plain = handler(HostEventsRequestSchema, HostEventsResponseSchema, async (request, signal) => {
    if (request.follow === true) throw invalid('follow', 'expected a stream to be asked for');
    const reader = await readerOf(log, request.since, beginMs, signal);
    const events: HostEventInit[] = [];
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      events.push(next);
      if (events.length === maxEvents) break;
    }
    return { events };
  });
  const codec = jsonCodec(HostEventSchema);
  /** Each is written once for all its readers, and forgotten with its event. */
  const written = new WeakMap<HostEventInit, Buffer>();
  const lineOf = (event: HostEventInit) => {
    const known = written.get(event);
    if (known !== undefined) return known;
    const line = Buffer.from(`${JSON.stringify(codec.encode(create(HostEventSchema, event)))}\n`);
    written.set(event, line);
    return line;
  };
  const stream = streamForm(
    HostEventsRequestSchema,
    false,
    async ({ since, follow = true }, io) => {
      const reader = await readerOf(log, since, beginMs, io.signal);
      await io.opened();
      const write = (event: HostEventInit) => io.write({ stream: 'stdout', data: lineOf(event) });
      while (!io.signal.aborted) {
        const seen = log.changes.count();
        // A reader that takes nothing holds up this loop alone: what happens meanwhile waits in the log, or is a gap.
        for (let next = reader.next(); next !== undefined; next = reader.next()) await write(next);
        if (!follow) return {};
        await log.changes.later(seen, aliveMs, io.signal);
        if (!io.signal.aborted && log.changes.count() === seen) await write(reader.alive());
      }
      return {};
    },
    { isLight: true },
  );
  return { 'host.events': { ...plain, stream } };
}

/** @throws VerbError 400 for what is no cursor; 503 while the host's containers were not looked at yet */
async function readerOf(
  log: Pick<EventLog, 'read' | 'hasBegun' | 'changes'>,
  since: string | undefined,
  beginMs: number,
  signal: AbortSignal,
): Promise<EventReader> {
  const until = performance.now() + beginMs;
  while (!log.hasBegun() && performance.now() < until && !signal.aborted)
    await log.changes.later(log.changes.count(), until - performance.now(), signal);
  if (!log.hasBegun())
    throw new VerbError('host_starting', 'this coold has not read yet which containers the host has');
  try {
    return log.read(since);
  } catch (error) {
    if (error instanceof CursorError) throw invalid('since', error.message);
    throw error;
  }
}
