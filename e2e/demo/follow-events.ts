import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fieldOf } from '../quickstart/story/wanted.ts';

/** An event of a host, from `host.events`. */
export interface ToldEvent {
  host: string;
  type: string;
  /** What it concerns and its state, in a few words. */
  text: string;
}

export interface FollowOptions {
  hostId: string;
  /** Returns the socket of the broker to use now; undefined for none. */
  socketPath: () => string | undefined;
  take: (event: ToldEvent) => void;
  signal: AbortSignal;
}

const pauseMs = 1000;

/** Follows a host's events until the signal aborts, from broker to broker, and resumes after the last event seen. */
export async function followEvents({ hostId, socketPath, take, signal }: FollowOptions): Promise<void> {
  let since: string | undefined;
  for (let time = 1; !signal.aborted; time += 1) {
    const path = socketPath();
    if (path !== undefined)
      await readStream(path, { hostId, requestId: `demo-events-${hostId}-${time}`, since }, signal, line => {
        const cursor = fieldOf(line, 'cursor');
        if (typeof cursor === 'string') since = cursor;
        const event = asEvent(hostId, line);
        if (event !== undefined) take(event);
      });
    await delay(pauseMs, undefined, { signal }).catch(() => {});
  }
}

/** Returns the event in a line of the stream; undefined for a line that is no event. Pure. */
export function asEvent(host: string, line: unknown): ToldEvent | undefined {
  const type = fieldOf(line, 'type');
  if (typeof type !== 'string' || ['begin', 'gap', 'alive'].includes(type)) return undefined;
  const word = (fact: unknown, ...names: string[]) =>
    names
      .map(name => fieldOf(fact, name))
      .filter(value => typeof value === 'string' && value !== '' && value !== 'unknown')
      .join(' ');
  const container = word(
    fieldOf(line, 'container'),
    'name',
    type === 'container.health' ? 'health' : 'state',
  );
  const firewall = word(fieldOf(line, 'firewall'), 'mode', 'problem');
  const dns = word(fieldOf(line, 'dns'), 'namespace', 'address');
  const build = word(fieldOf(line, 'build'), 'request_id', 'state');
  return { host, type, text: [container, firewall, dns, build].filter(text => text !== '').join(' ') };
}

/** Resolves when the stream has ended for any reason. */
function readStream(
  socketPath: string,
  { hostId, requestId, since }: { hostId: string; requestId: string; since: string | undefined },
  signal: AbortSignal,
  take: (line: unknown) => void,
): Promise<void> {
  const command = { type: 'host.events', ...(since === undefined ? {} : { since }) };
  return new Promise(resolve => {
    const headers = { 'content-type': 'application/json' };
    const asked = request({ socketPath, method: 'POST', path: '/v1/coold/stream', headers, signal });
    asked.once('error', () => resolve());
    asked.once('close', () => resolve());
    asked.once('response', response => {
      response.on('error', () => resolve());
      const lines = createInterface({ input: response });
      lines.on('error', () => resolve()); // the response fails with the same error
      lines.on('line', line => {
        try {
          take(JSON.parse(line));
        } catch {
          // A line cut off together with its broker.
        }
      });
    });
    asked.end(JSON.stringify({ host_id: hostId, request_id: requestId, command }));
  });
}
