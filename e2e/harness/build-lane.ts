import { eventually } from './eventually.ts';
import { askLane, type Fleet } from './fleet.ts';
import { expectExec, type Host } from './provider.ts';

export interface LaneAnswer {
  status: number;
  body: Record<string, unknown> | null;
}

/** Calls the build lane as Laravel does: from PHP on the central host. */
export interface BuildLane {
  dispatch(requestId: string, command: object, hostId?: string): Promise<LaneAnswer>;
  /** Polls until there is a result or an error. @throws HarnessError */
  result(requestId: string, timeoutMs?: number): Promise<LaneAnswer>;
  cancel(requestId: string): Promise<number>;
  /** Removes a result. @returns the HTTP status */
  remove(requestId: string): Promise<number>;
  /** Returns the frames of GET /v1/build/:id/events, to their end. */
  events(requestId: string): Promise<Record<string, unknown>[]>;
}

/** Shorter than the client's own timeout, in ms. */
const pollMs = 10_000;

export function createBuildLane({ central }: Fleet): BuildLane {
  const call = async (...request: string[]) => (await askLane(central, ...request)) as LaneAnswer;
  return {
    dispatch: (requestId, command, hostId) =>
      call('POST', '/v1/build/dispatch', JSON.stringify({ request_id: requestId, host_id: hostId, command })),
    result: (requestId, timeoutMs = 120_000) =>
      eventually(
        `the result of ${requestId}`,
        async () => {
          const answer = await call('GET', `/v1/build/result/${requestId}?timeout_ms=${pollMs}`);
          return answer.status === 408 ? undefined : answer;
        },
        { timeoutMs },
      ),
    async cancel(requestId) {
      return (await call('POST', `/v1/build/${requestId}/cancel`)).status;
    },
    async remove(requestId) {
      return (await call('DELETE', `/v1/build/${requestId}`)).status;
    },
    async events(requestId) {
      const text = await expectExec(
        central.host,
        [
          ...(['curl', '-sS', '--max-time', '120', '--unix-socket', '/run/coolify/broker.sock'] as const),
          `http://broker/v1/build/${requestId}/events`,
        ],
        { timeoutMs: 130_000 },
      );
      const lines = text.split('\n').filter(line => line !== '');
      return lines.map(line => JSON.parse(line) as Record<string, unknown>);
    },
  };
}

/** A git server for hosts, whose answers can be held back. */
export interface GitServer {
  /** `git://address:port`, without the repository's name. */
  url: string;
  repository(name: string, files: Record<string, string>): Promise<void>;
  /** Stops answering, like a server that hangs. */
  hold(): Promise<void>;
  letGo(): Promise<void>;
}

/** Starts Git's own daemon on a host, on the network beside the mesh, which builds cannot reach. @throws HarnessError */
export async function startGitServer(host: Host): Promise<GitServer> {
  const root = '/srv/e2e-git';
  await expectExec(host, ['mkdir', '-p', root]);
  await expectExec(host, [
    ...(['systemd-run', '--quiet', '--unit=e2e-git', '--', 'git', 'daemon', '--reuseaddr'] as const),
    ...[`--listen=${host.address}`, '--export-all', `--base-path=${root}`],
  ]);
  const kill = (signal: string) =>
    expectExec(host, ['systemctl', 'kill', `--signal=${signal}`, 'e2e-git.service']);
  return {
    url: `git://${host.address}`,
    async repository(name, files) {
      const path = `${root}/${name}`;
      for (const [file, content] of Object.entries(files)) await host.put(content, `${path}/${file}`, 0o644);
      const git = 'git -c user.name=e2e -c user.email=e2e@localhost';
      const script = `cd "$1" && ${git} init -q -b main && ${git} add -A && ${git} commit -q -m site`;
      await expectExec(host, ['sh', '-c', script, 'sh', path]);
    },
    async hold() {
      await kill('SIGSTOP');
    },
    async letGo() {
      await kill('SIGCONT');
    },
  };
}
