import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateKeys } from '@coold/broker/token';
import { startProgram, unixHttp } from '@coold/testbed';
import { createNetns } from '@coold/testbed/netns';

/** How long a program may take to start on a busy machine, in ms. */
export const startMs = 60_000;

/** Returns the metric names in the text of /metrics, with the separate names of a histogram's parts. */
export function exportedNames(text: string): Set<string> {
  const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
  );
  return new Set(names);
}

/** Starts a broker and returns its answer to `GET /metrics`. */
export async function brokerMetrics(folder: string): Promise<string> {
  const [socketPath, publicKey] = [join(folder, 'broker.sock'), join(folder, 'jwt.pub')];
  await writeFile(publicKey, generateKeys().publicKey);
  await using broker = startProgram('broker', {
    env: {
      BROKER_GRPC_BIND: '127.0.0.1:0',
      BROKER_JWT_PUBLIC_KEY_PATH: publicKey,
      BROKER_UNIX_SOCKET_PATH: socketPath,
    },
  });
  await broker.logged(line => line.msg === 'listening for Laravel', startMs);
  await using http = unixHttp(socketPath);
  return (await http.request({ path: '/metrics' })).text;
}

/** Starts a coold with all its parts in a network namespace and returns its answer to `GET /metrics`. Needs root. */
export async function cooldMetrics(folder: string): Promise<string> {
  const jwt = join(folder, 'jwt');
  await writeFile(jwt, 'a.b.c', { mode: 0o600 });
  const netns = await createNetns();
  try {
    await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
    await netns.exec('mkdir', ['/run/coolify']);
    await using coold = startProgram('coold', {
      inside: netns.pid,
      env: {
        COOLD_HOST_MGMT_IP: '100.64.0.7',
        COOLD_BROKER_URL: 'grpc://127.0.0.1:1/v1/agent',
        COOLD_HOST_JWT_PATH: jwt,
        COOLD_PODMAN_SOCKET: '/run/podman.sock',
        COOLD_CORROSION_URL: 'http://127.0.0.1:1',
        COOLD_RULES_PATH: join(folder, 'allow.rules'),
        COOLD_BRIDGE_RULES_PATH: join(folder, 'allow.nft'),
        COOLD_BUILDER_ENABLED: '1',
        COOLD_BUILDER_WORK_DIR: join(folder, 'builds'),
      },
    });
    await coold.logged(line => line.msg === 'serving status and metrics', startMs);
    const script = `require('node:http').get({ socketPath: '/run/coolify/coold.sock', path: '/metrics' }, answer => answer.pipe(process.stdout))`;
    return (await netns.exec(process.execPath, ['-e', script])).stdout;
  } finally {
    await netns.close();
  }
}
