import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { corrosionConfig, findProgram, freePort } from '@coold/testbed';
import { request } from 'undici';
import { eventually } from '../harness/eventually.ts';

const standIn = fileURLToPath(new URL('../../packages/testbed/src/corrosion/main.ts', import.meta.url));
const schemas = fileURLToPath(new URL('../../packaging/corrosion/', import.meta.url));

/** An agent of the mesh, in a process of its own. */
export interface BenchAgent extends AsyncDisposable {
  url: string;
  /** Where others gossip with it. */
  gossip: string;
  /** Corrosion itself where a `corrosion` program is on the PATH, else its stand-in. */
  kind: 'Corrosion' | 'the stand-in';
}

/** Starts an agent with an empty database, and resolves when it answers. @param peers gossip addresses of others */
export async function startAgent(folder: string, peers: readonly string[] = []): Promise<BenchAgent> {
  const [api, gossipPort] = [await freePort(), await freePort()];
  const gossip = `127.0.0.1:${gossipPort}`;
  const config = corrosionConfig('127.0.0.1', [])
    .replace('"/var/lib/corrosion/corrosion.db"', JSON.stringify(`${folder}.db`))
    .replace('"/etc/corrosion/schemas"', JSON.stringify(schemas))
    .replace('"127.0.0.1:8787"', JSON.stringify(gossip))
    .replace('bootstrap = []', `bootstrap = ${JSON.stringify(peers)}`)
    .replace('"127.0.0.1:8080"', `"127.0.0.1:${api}"`)
    .replace('"/run/corrosion/admin.sock"', JSON.stringify(join(`${folder}.admin`)));
  await writeFile(`${folder}.toml`, config);
  const real = findProgram('corrosion', process.env['PATH'] ?? '');
  const program = real === undefined ? [process.execPath, standIn] : [real];
  // pdeathsig: a run that is killed leaves no program behind.
  const args = ['--pdeathsig', 'KILL', '--', ...program, 'agent', '--config', `${folder}.toml`];
  const child = spawn('setpriv', args, { stdio: 'ignore' });
  const ended = once(child, 'close');
  const url = `http://127.0.0.1:${api}`;
  await eventually(
    'the agent to answer',
    async () => {
      const body = JSON.stringify(['SELECT 1', []]);
      const headers = { 'content-type': 'application/json' };
      const answer = await request(`${url}/v1/queries`, { method: 'POST', headers, body }).catch(
        () => undefined,
      );
      await answer?.body.dump();
      return answer?.statusCode === 200 || undefined;
    },
    { timeoutMs: 15_000 },
  );
  return {
    url,
    gossip,
    kind: real === undefined ? 'the stand-in' : 'Corrosion',
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
