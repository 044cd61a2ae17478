// `npm run quickstart`: Laravel's first answer, end to end, with this machine's Podman program on a store of its own.
// Progress on stderr, the envelope as the last line of stdout; stays up until Ctrl-C, with `--once` takes everything down.
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { acquireFileLock } from '@coold/runtime';
import { createPairing, freePort, startPodman, unixHttp } from '@coold/testbed';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), '.quickstart');
const hostId = 'quickstart';

const say = (line: string) => process.stderr.write(`quickstart: ${line}\n`);

class Interrupted extends Error {}

async function quickstart(once: boolean, interrupted: AbortSignal): Promise<number> {
  await using cleanup = new AsyncDisposableStack();
  const lock = await acquireFileLock(`${folder}.lock`);
  if (lock === undefined) throw new Error('another quickstart runs in this checkout: stop it first');
  cleanup.defer(() => lock.release());
  /** After each step: what it made is in `cleanup` by then. */
  const goOn = () => {
    if (interrupted.aborted) throw new Interrupted();
  };
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));

  say('starting a Podman of its own (own storage, own network namespace)');
  const podman = cleanup.use(await startPodman(join(folder, 'podman')));
  goOn();
  say('building a tiny image from scratch and starting a container of it');
  await podman.runTiny('hello');
  goOn();

  const pairing = await createPairing({
    folder,
    hostId,
    port: await freePort(),
    podmanSocket: podman.socketPath,
  });
  const broker = cleanup.use(pairing.startBroker({ onLine: line => say(`broker ${line}`) }));
  await broker.logged(line => line.msg === 'listening for Laravel');
  const coold = cleanup.use(pairing.startCoold({ onLine: line => say(`coold  ${line}`) }));
  await broker.logged(line => line.msg === 'host connected');
  goOn();

  const body = { host_id: hostId, request_id: 'quickstart-1', command: { type: 'list_containers' } };
  say(`POST /v1/coold/dispatch ${JSON.stringify(body)}`);
  const lane = cleanup.use(unixHttp(pairing.socketPath));
  const answer = await lane.request({ method: 'POST', path: '/v1/coold/dispatch', json: body });
  process.stdout.write(`${answer.text}\n`);
  if (answer.status !== 200 || (answer.json() as { status?: unknown }).status !== 'ok') {
    say(`expected 200 and "status":"ok", got ${answer.status}`);
    return 1;
  }

  if (!once) {
    say('up until Ctrl-C; try it from another terminal:');
    say(
      `curl --unix-socket ${pairing.socketPath} -H 'content-type: application/json' -d '${JSON.stringify({ ...body, request_id: 'mine-1' })}' http://broker/v1/coold/dispatch`,
    );
    await Promise.race([aborted(interrupted), broker.exited, coold.exited]);
  }
  say('taking everything down');
  for (const program of [coold, broker]) {
    program.signal('SIGTERM');
    const { code } = await program.exited;
    if (code !== 0) throw new Error(`a program ended with exit ${code}`);
  }
  return 0;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** What went wrong, and what went wrong while it was cleaned up after. */
function messages(error: unknown): string[] {
  if (error instanceof SuppressedError) return [...messages(error.suppressed), ...messages(error.error)];
  return [error instanceof Error ? error.message : String(error)];
}

const unknown = process.argv.slice(2).find(arg => arg !== '--once');
if (unknown !== undefined) {
  say(`${unknown}: expected nothing, or --once`);
  process.exit(2);
}
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (!stop.signal.aborted) say('stopping');
    stop.abort();
  });
}
try {
  process.exit(await quickstart(process.argv.includes('--once'), stop.signal));
} catch (error) {
  if (error instanceof Interrupted) process.exit(130);
  for (const message of messages(error)) say(message);
  process.exit(1);
}
