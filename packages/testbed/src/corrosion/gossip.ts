import { request, type Server } from 'node:http';
import { connect as netConnect, type Socket } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as delay } from 'node:timers/promises';
import type { Endpoint } from './config.ts';
import { BadRequest, createSafeServer, urlOf } from './http.ts';
import { ndjsonLines } from './ndjson.ts';
import type { Store, Version } from './store.ts';

/**
 * How copies become one: every agent follows every other one's stream of versions, from the position that it had reached,
 * so a host that comes back from a partition is told what it has missed. One that has been started anew has no positions
 * and is told everything. What an agent learns it passes on in its own stream, so most versions arrive by several ways; one
 * that is known already ends there.
 */
const heartbeatMs = 500;
/** A peer that is cut off sends nothing, and no error either. */
const silenceMs = 2500;
/**
 * How long a peer has to connect and to begin its answer. Left alone, a connect into a partition would be tried again by
 * the kernel ever more rarely, and so learn late that the partition is over.
 */
const answerMs = 2000;
const retryMs = 300;
/** Nothing but heartbeats is ever written unasked. */
const maxBacklog = 1 << 20;

type Message = { site: string } | { position: number; versions: Version[] } | Record<string, never>;

/** Serves this copy's stream: `GET /versions?site=<known site>&since=<position>`. */
export function createGossipServer(store: Store): Server {
  return createSafeServer(async (req, res) => {
    const url = urlOf(req);
    if (url.pathname !== '/versions') return void res.writeHead(404).end();
    const since = Number(url.searchParams.get('since'));
    if (!Number.isSafeInteger(since)) throw new BadRequest('since: expected a position');
    // Positions are this copy's own: those of a database that was here before say nothing.
    let position = url.searchParams.get('site') === store.site ? since : 0;
    const stream = ndjsonLines(res, maxBacklog);
    res.writeHead(200, { 'content-type': 'application/x-ndjson' });
    stream.write({ site: store.site } satisfies Message);
    let isSending = false;
    /** As fast as the peer reads; what is committed meanwhile is found by the same loop. */
    const send = async () => {
      if (isSending) return;
      isSending = true;
      while (!res.destroyed) {
        const { position: reached, versions } = store.versionsSince(position);
        if (versions.length === 0) break;
        position = reached;
        await stream.writeAll([{ position, versions } satisfies Message]);
      }
      isSending = false;
    };
    const stop = store.onCommit(() => void send().catch(() => res.destroy()));
    const heartbeat = setInterval(() => stream.write({} satisfies Message), heartbeatMs);
    res.on('close', () => {
      stop();
      clearInterval(heartbeat);
    });
    await send();
  });
}

/** Follows a peer until the signal aborts, again and again when the stream ends. */
export async function followPeer(
  peer: Endpoint,
  store: Store,
  signal: AbortSignal,
  connect: Connect = ({ host, port }) => netConnect(port, host),
): Promise<void> {
  let site = '';
  let since = 0;
  while (!signal.aborted) {
    await streamFrom(peer, connect, `/versions?site=${site}&since=${since}`, signal, message => {
      if ('site' in message) {
        if (message.site !== site) since = 0;
        site = message.site;
      } else if ('versions' in message) {
        store.merge(message.versions);
        since = message.position;
      }
    }).catch(() => undefined);
    await delay(retryMs, undefined, { signal }).catch(() => undefined);
  }
}

type Connect = (peer: Endpoint) => Socket;

function streamFrom(
  peer: Endpoint,
  connect: Connect,
  path: string,
  signal: AbortSignal,
  onMessage: (message: Message) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request({ ...peer, path, createConnection: () => connect(peer), signal }, res => {
      clearTimeout(deadline);
      if (res.statusCode !== 200) {
        readText(res).then(() => reject(new Error(`status ${res.statusCode}`)), reject);
        return;
      }
      const decoder = new StringDecoder('utf8');
      let rest = '';
      res.on('data', (chunk: Buffer) => {
        const lines = (rest + decoder.write(chunk)).split('\n');
        rest = lines.pop() ?? '';
        try {
          // Only ever another agent of the same make: its lines are what `Message` says.
          for (const line of lines) onMessage(JSON.parse(line) as Message);
        } catch (error) {
          call.destroy(error as Error);
        }
      });
      res.on('end', resolve);
      res.on('error', reject);
    });
    // A timeout of the request's own would begin when it is connected, and so never end a connect.
    const deadline = setTimeout(() => call.destroy(new Error('no answer')), answerMs);
    call.setTimeout(silenceMs, () => call.destroy(new Error('silent')));
    call.on('error', reject);
    call.on('close', () => {
      clearTimeout(deadline);
      resolve();
    });
    call.end();
  });
}
