import { createServer, request, type Server } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as delay } from 'node:timers/promises';
import type { Endpoint } from './config.ts';
import { ndjsonWriter } from './ndjson.ts';
import type { Store, Version } from './store.ts';

/**
 * How copies become one: every agent follows every other one's stream of versions, from the position that it had reached,
 * so a host that comes back from a partition or a reboot is told exactly what it has missed. What an agent learns it
 * passes on in its own stream; a version that is known already ends there.
 */
const heartbeatMs = 500;
/** A peer that is cut off sends nothing, and no error either. */
const silenceMs = 2500;
const retryMs = 300;

type Message = { site: string } | { position: number; versions: Version[] } | Record<string, never>;

/** Serves this copy's stream: `GET /versions?site=<known site>&since=<position>`. */
export function createGossipServer(store: Store): Server {
  return createServer((req, res) => {
    const url = new URL(req.url ?? '/', 'http://agent');
    if (url.pathname !== '/versions') return void res.writeHead(404).end();
    // Positions are this copy's own: those of a database that was here before say nothing.
    let position = url.searchParams.get('site') === store.site ? Number(url.searchParams.get('since')) : 0;
    const write = ndjsonWriter(res, 64 << 20);
    res.writeHead(200, { 'content-type': 'application/x-ndjson' });
    write({ site: store.site } satisfies Message);
    const send = () => {
      for (;;) {
        const { position: reached, versions } = store.versionsSince(position);
        if (versions.length === 0) return;
        position = reached;
        write({ position, versions } satisfies Message);
      }
    };
    send();
    const stop = store.onCommit(send);
    const heartbeat = setInterval(() => write({} satisfies Message), heartbeatMs);
    res.on('close', () => {
      stop();
      clearInterval(heartbeat);
    });
  });
}

/** Follows a peer until the signal aborts, again and again when the stream ends. */
export async function followPeer(peer: Endpoint, store: Store, signal: AbortSignal): Promise<void> {
  let site = '';
  let since = 0;
  while (!signal.aborted) {
    await streamFrom(peer, `/versions?site=${site}&since=${since}`, signal, message => {
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

function streamFrom(
  { host, port }: Endpoint,
  path: string,
  signal: AbortSignal,
  onMessage: (message: Message) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request({ host, port, path, agent: false, signal }, res => {
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
    call.setTimeout(silenceMs, () => call.destroy(new Error('silent')));
    call.on('error', reject);
    call.on('close', resolve);
    call.end();
  });
}
