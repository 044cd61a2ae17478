// A thousand listeners of host.events on sockets of their own, of which half never read.
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { type LogLine, startScript } from '@coold/testbed';
import { soon } from '@coold/testbed/soon';
import { afterAll, beforeAll, expect, it } from 'vitest';

const known = 300;
/** Fewer than happen, and than fit into the buffers of a socket that nobody reads. */
const kept = 50;
const burst = 600;
const listeners = 1000;
/** On a machine that is busy. */
const waitMs = 120_000;

const script = fileURLToPath(new URL('../../test/serve-events.ts', import.meta.url));
const cleanup = new AsyncDisposableStack();
const server = cleanup.use(startScript(script, { args: [known, kept, burst].map(String) }));
const sockets: Socket[] = [];
let address: string;
beforeAll(async () => {
  const line = await server.logged(({ msg }) => msg === 'listening', waitMs);
  address = String(line['address']);
}, waitMs);
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  return cleanup.disposeAsync();
});

/** Asks for events, and looks for texts in what comes. */
function listen(...wanted: string[]) {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  sockets.push(socket);
  const seen = new Set<string>();
  let tail = '';
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    const text = tail + chunk.toString('latin1');
    for (const one of wanted) if (text.includes(one)) seen.add(one);
    tail = text.slice(-40);
  });
  socket.write(`GET /api/v1/host/events HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer token\r\n\r\n`);
  return { socket, seen };
}

/** How long the server takes to answer a caller of another process, in s: ours has the listeners to read. */
async function healthz(): Promise<number> {
  const args = ['-sS', '-o', '/dev/null', '-w', '%{http_code} %{time_total}', `http://${address}/healthz`];
  const { stdout, stderr } = await runChild('curl', args, { timeoutMs: 60_000 });
  const [status, seconds] = stdout.split(' ');
  expect(status, stderr).toBe('200');
  return Number(seconds);
}

const costs = (): LogLine[] => server.lines.filter(({ msg }) => msg === 'cost');
const memory = () => Number(costs().at(-1)?.['rss']);
/** The server says once a second what it costs: all listeners of a quick machine are there before the first time. */
const costSaid = () => server.logged(({ msg }) => msg === 'cost', waitMs);

it('a thousand of which half do not read: each reader learns how it ends, the others of a gap, and coold answers meanwhile', async () => {
  const begin = '"begin"';
  const gap = '"too_slow"';
  /** Alone, or within what a gap says. */
  const last = `"state":"${burst}.`;
  const all: ReturnType<typeof listen>[] = [];
  const seeing = (text: string, those = all) => those.filter(({ seen }) => seen.has(text)).length;
  // A wave at a time: of more than wait to be accepted, the kernel forgets some.
  while (all.length < listeners) {
    for (let n = 0; n < 100; n += 1) all.push(listen(begin, gap, last));
    await soon(() => expect(seeing(begin)).toBe(all.length), { timeout: waitMs });
  }
  const [readers, others] = [all.filter((_, n) => n % 2 === 0), all.filter((_, n) => n % 2 === 1)];
  for (const { socket } of others) socket.pause();
  await costSaid();
  const before = memory();

  server.signal('SIGUSR2');
  const waits: number[] = [];
  while (seeing(last, readers) < readers.length) waits.push(await healthz());
  expect(Math.max(...waits), 'seconds until an answer').toBeLessThan(5);
  await soon(() => expect(memory() - before).toBeLessThan(256 * 1024 ** 2));
  expect(seeing(last, others) + seeing(gap, others), 'nothing comes to those that do not read').toBe(0);

  for (const { socket } of others) socket.resume();
  await soon(() => expect(seeing(gap, others)).toBe(others.length), { timeout: waitMs });
  // And, in it or behind it, how everything is now.
  await soon(() => expect(seeing(last, others)).toBe(others.length), { timeout: waitMs });
}, 600_000);

it('the most allowed leave other callers their connections, and one more is refused', async () => {
  const refusal = '"host_busy"';
  const more = Array.from({ length: 40 }, () => listen('"begin"', refusal));
  await soon(() => expect(more.filter(({ seen }) => seen.size > 0)).toHaveLength(more.length), {
    timeout: waitMs / 4,
  });
  expect(more.filter(({ seen }) => seen.has(refusal))).toHaveLength(listeners + more.length - 1024);
  await healthz();
}, 300_000);
