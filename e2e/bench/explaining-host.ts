import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { getAnswer, UnreachableError } from '@coold/runtime';
import { type Program, startScript } from '@coold/testbed';
import { createNetns, type Netns } from '@coold/testbed/netns';

export interface Flow {
  src: string;
  dst: string;
  port: number;
}

/** A network namespace with two bridges, the default deny, and a coold that explains flows there. */
export interface ExplainingHost extends AsyncDisposable {
  netns: Netns;
  /** Environment for the tools of this host's variant of iptables. */
  env: NodeJS.ProcessEnv;
  /** Starts coold and waits until it answers. */
  start(): Promise<Program>;
  /** Adds and removes allow rules in one request. */
  bulk(change: { add?: readonly Flow[]; remove?: readonly string[] }): Promise<void>;
  /** Returns the current allow rules. */
  rules(): Promise<(Flow & { id: string })[]>;
  /** Explains a flow. @throws Error when the verdict differs from `verdict` */
  explain(flow: Flow, verdict: 'passes' | 'blocked'): Promise<void>;
}

/** coold's REST address inside the namespace. */
const api = '127.0.0.1:8444';
const bridges = [
  ['br-a', '10.210.255.1/16'],
  ['br-b', '10.211.255.1/16'],
] as const;
const scaffold = {
  COOLD_SCAFFOLD_SUBNETS: '10.210.0.0/16,10.211.0.0/16',
  COOLD_SCAFFOLD_POOLS: '10.208.0.0/12',
};
const token = 'bench';

/** Creates the host. Needs root. @param folder a folder for this host alone @param program path of coold's bundle */
export async function createExplainingHost(
  folder: string,
  program: string,
  variant: 'nft' | 'legacy',
): Promise<ExplainingHost> {
  const netns = await createNetns();
  // iptables-legacy keeps its lock file in /run.
  await netns.exec('mount', ['-t', 'tmpfs', 'run', '/run']);
  const bin = join(folder, 'bin');
  await mkdir(bin, { recursive: true });
  for (const name of ['iptables', 'iptables-restore'])
    await symlink(`/usr/sbin/${name.replace('iptables', `iptables-${variant}`)}`, join(bin, name));
  const path = `${bin}:${process.env['PATH'] ?? ''}`;
  const env = { ...process.env, PATH: path };
  for (const [name, address] of bridges) {
    await netns.exec('ip', ['link', 'add', name, 'type', 'bridge']);
    await netns.exec('ip', ['addr', 'add', address, 'dev', name]);
    await netns.exec('ip', ['link', 'set', name, 'up']);
  }
  await netns.exec('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
  const meshEnv = join(folder, 'mesh.env');
  const lines = Object.entries(scaffold).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(meshEnv, lines.join(''), { mode: 0o600 });
  await netns.exec(process.execPath, [program, 'scaffold', '--apply'], { env: { ...env, ...scaffold } });
  const socketPath = join(folder, 'coold.sock');
  const tokenFile = join(folder, 'api-token');
  await writeFile(tokenFile, token, { mode: 0o600 });
  const curl = async (path: string, input?: object) => {
    const data = ['--data-binary', '@-', '-H', 'content-type: application/json'];
    const { stdout } = await netns.exec(
      'curl',
      [
        ...['-sS', '--fail', '-H', `authorization: Bearer ${token}`, ...(input === undefined ? [] : data)],
        `http://${api}/api/v1/firewall/allow${path}`,
      ],
      { maxOutputBytes: 64 << 20, ...(input === undefined ? {} : { input: JSON.stringify(input) }) },
    );
    return JSON.parse(stdout) as unknown;
  };
  return {
    netns,
    env,
    async start() {
      const coold = startScript(program, {
        inside: netns.pid,
        env: {
          PATH: path,
          COOLD_HOST_MGMT_IP: '127.0.0.1',
          COOLD_PODMAN_SOCKET: '/nonexistent',
          COOLD_UNIX_SOCKET_PATH: socketPath,
          COOLD_MESH_ENV: meshEnv,
          COOLD_API_BIND: api,
          COOLD_API_TOKEN_FILE: tokenFile,
          COOLD_RULES_PATH: join(folder, 'allow.rules'),
          COOLD_BRIDGE_RULES_PATH: join(folder, 'allow.nft'),
        },
      });
      await coold.logged(line => line.msg === 'the firewall is read', 120_000);
      await coold.logged(line => line.msg === 'serving status and metrics', 60_000);
      await coold.logged(line => line.msg === 'serving the API', 60_000);
      return coold;
    },
    async bulk({ add = [], remove = [] }) {
      await curl('/bulk', { add: add.map(flow => ({ ...flow, proto: 'tcp' })), remove });
    },
    rules: async () => (await curl('')) as (Flow & { id: string })[],
    async explain({ src, dst, port }, verdict) {
      const query = new URLSearchParams({ src, dst, proto: 'tcp', port: String(port) });
      const answer = await asked(socketPath, `/api/v1/firewall/explain?${query}`);
      const { status, body } = answer;
      const said = typeof body === 'object' && body !== null && 'verdict' in body ? body.verdict : undefined;
      if (status !== 200 || said !== verdict) throw new Error(`explain: ${status} ${JSON.stringify(body)}`);
    },
    [Symbol.asyncDispose]: () => netns.close(),
  };
}

async function asked(socketPath: string, path: string): ReturnType<typeof getAnswer> {
  for (;;)
    try {
      return await getAnswer({ at: { socketPath }, path, timeoutMs: 120_000 });
    } catch (error) {
      // The kernel queues a few hundred connections that coold has not accepted yet.
      if (!(error instanceof UnreachableError) || error.code !== 'EAGAIN') throw error;
      await delay(10);
    }
}
