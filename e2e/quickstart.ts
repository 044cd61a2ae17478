// `npm run quickstart`: Laravel's first answer on this machine. Progress on stderr, the envelope as the last line of
// stdout; stays up until Ctrl-C, with `--once` takes everything down again.
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPairing, freePort, startPodman, unixHttp } from '@coold/testbed';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), '.quickstart');
const hostId = 'quickstart';

const say = (line: string) => process.stderr.write(`quickstart: ${line}\n`);

async function quickstart(once: boolean): Promise<number> {
  await refuseSecond();
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(folder, { recursive: true, force: true }));

  say('starting a Podman of its own (own storage, own network namespace)');
  const podman = cleanup.use(await startPodman(join(folder, 'podman')));
  say('building a tiny image from scratch and starting a container of it');
  await podman.runTiny('hello');

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
    await Promise.race([interrupted(), broker.exited, coold.exited]);
  }
  say('taking everything down');
  for (const program of [coold, broker]) {
    program.signal('SIGTERM');
    const { code } = await program.exited;
    if (code !== 0) throw new Error(`a program ended with exit ${code}`);
  }
  return 0;
}

/** Two at once would share one folder. */
async function refuseSecond(): Promise<void> {
  await using lane = unixHttp(join(folder, 'broker.sock'));
  const health = await lane.request({ path: '/v1/health', timeoutMs: 2000 }).catch(() => undefined);
  if (health !== undefined) throw new Error('another quickstart runs in this checkout: stop it first');
}

function interrupted(): Promise<void> {
  return new Promise(resolve => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

const unknown = process.argv.slice(2).find(arg => arg !== '--once');
if (unknown !== undefined) {
  say(`${unknown}: expected nothing, or --once`);
  process.exit(2);
}
try {
  process.exit(await quickstart(process.argv.includes('--once')));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
