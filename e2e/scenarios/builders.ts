// Three hosts, two of which build, with a git server and a registry beside the mesh, for build scenarios.
import { expect } from 'vitest';
import { type BuildLane, createBuildLane, type GitServer, startGitServer } from '../harness/build-lane.ts';
import { eventually } from '../harness/eventually.ts';
import { createFleet, type Fleet, type FleetHost, type Ground } from '../harness/fleet.ts';
import { expectExec, type Host } from '../harness/provider.ts';
import { pushBusybox, startRegistry } from '../harness/registry.ts';

/** The folder of a host's builds. */
export const root = '/var/lib/coolify-builder/work';

export interface Builders {
  fleet: Fleet;
  lane: BuildLane;
  git: GitServer;
  /** A busybox image in a registry that builds can reach. */
  baseImage: string;
  /** Central; it does not build. */
  a: FleetHost;
  /** A builder with two places. */
  b: FleetHost;
  /** A builder with one place and low limits: 20 s and 400 MB. */
  c: FleetHost;
  /** Returns the command of a static build. */
  site(requestId: string): BuildCommand;
  /** Returns the command of a Dockerfile whose first step takes 6 s. */
  slow(requestId: string): BuildCommand;
  /** Checks that the result, also when read again, names the existing image, and that it is gone after its removal. */
  expectBuilt(requestId: string, on: FleetHost): Promise<void>;
}

type BuildCommand = Record<'type' | 'repo_url' | 'git_ref' | 'target_image', string>;

/** @throws HarnessError */
export async function createBuilders(ground: Ground): Promise<Builders> {
  const little = {
    COOLD_BUILDER_CAPACITY: '1',
    COOLD_BUILDER_TIMEOUT_SECS: '20',
    COOLD_BUILDER_MEMORY_MAX: '400M',
  };
  const fleet = await createFleet(ground, ['a', 'b', 'c'], ['default'], { builders: { b: {}, c: little } });
  const lane = createBuildLane(fleet);
  const [a, b, c] = fleet.hosts;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three hosts were asked for');
  const git = await startGitServer(a.host);
  await git.repository('site', { 'dist/index.html': '<h1>hello</h1>\n', 'secret.txt': 'not in the image' });
  // Beside the mesh, which builds cannot reach.
  const registry = await startRegistry({ ...a, mgmtIp: a.host.address }, fleet.hosts);
  const baseImage = `${registry}/base/web:1`;
  await pushBusybox(a, baseImage);
  await git.repository('slow', { Dockerfile: `FROM ${baseImage}\nRUN sleep 6\nRUN touch /done\n` });
  return {
    fleet,
    lane,
    git,
    baseImage,
    a,
    b,
    c,
    site: requestId => ({
      type: 'static_build',
      repo_url: `${git.url}/site`,
      git_ref: 'main',
      target_image: target(requestId),
      base_image: baseImage,
    }),
    slow: requestId => ({
      type: 'dockerfile_build',
      repo_url: `${git.url}/slow`,
      git_ref: 'main',
      target_image: target(requestId),
    }),
    expectBuilt: (id, on) => expectBuilt(lane, id, on),
  };
}

export const target = (requestId: string) => `localhost/built/${requestId.toLowerCase()}:1`;
export const unit = (requestId: string) => `coolify-build-${requestId}.service`;
export const taken = (requestId: string) => ({ status: 202, body: { request_id: requestId } });
const reasons = { 499: 'build_cancelled', 500: 'build_failed', 504: 'build_timeout' };
export const failure = (requestId: string, code: keyof typeof reasons, message: unknown, stage: string) => ({
  status: 200,
  body: { request_id: requestId, status: 'error', reason: reasons[code], code, message, stage },
});
export const exited = (requestId: string) =>
  failure(requestId, 500, 'builder exited without result file', 'builder');

/** Waits until a shell script on a host succeeds. */
export async function until(what: string, host: Host, script: string, ...args: string[]): Promise<void> {
  const holds = async () =>
    (await host.exec(['sh', '-c', script, 'sh', ...args])).code === 0 ? true : undefined;
  await eventually(what, holds, { timeoutMs: 60_000, everyMs: 200 });
}
export const untilStarted = (id: string, { host }: FleetHost) =>
  until(
    `${id} to run`,
    host,
    `systemctl is-active --quiet "$1" && test ! -e "$2"`,
    unit(id),
    `${root}/${id}/queued`,
  );
export const untilSaid = (id: string, { host }: FleetHost, words: string) =>
  until(`${id} to say ${words}`, host, 'grep -q -e "$1" "$2"', words, `${root}/${id}/events.ndjson`);
/** Waits until nothing is left of a build whose result was removed. */
export const untilGone = (id: string, { host }: FleetHost) =>
  until(
    `nothing to be left of ${id}`,
    host,
    'test ! -e "$1" && test "$(systemctl show --property LoadState --value "$2")" = not-found',
    `${root}/${id}`,
    unit(id),
  );
export const systemctl = ({ host }: FleetHost, ...args: string[]) => expectExec(host, ['systemctl', ...args]);
export const killed = (host: FleetHost, service: string) =>
  systemctl(host, 'kill', '--signal=SIGKILL', '--kill-who=main', service);

/** Checks that its image runs and serves the page. */
export async function expectServed(id: string, { host }: FleetHost): Promise<void> {
  const serve = ['httpd', '-f', '-p', '80', '-h', '/usr/share/nginx/html'];
  await expectExec(host, ['podman', 'run', '--detach', '--rm', '--init', '--name', id, target(id), ...serve]);
  const page = ['podman', 'exec', id, 'wget', '-qO-', 'http://127.0.0.1/index.html'] as const;
  await until(`the page of ${id}`, host, 'podman exec "$1" wget -qO- http://127.0.0.1/index.html', id);
  expect(await expectExec(host, page)).toBe('<h1>hello</h1>\n');
  expect((await host.exec(['podman', 'exec', id, 'ls', '/usr/share/nginx/html'])).stdout).not.toContain(
    'secret',
  );
  await expectExec(host, ['podman', 'rm', '--force', '--time', '0', id]);
}

async function expectBuilt(lane: BuildLane, id: string, on: FleetHost): Promise<void> {
  const answer = await lane.result(id);
  expect(await lane.result(id), 'to a caller that asks again').toEqual(answer);
  const shown = await on.host.exec(['podman', 'image', 'inspect', '--format', '{{.Digest}}', target(id)]);
  const digest = shown.stdout.trim();
  expect(answer).toEqual({
    status: 200,
    body: {
      request_id: id,
      status: 'ok',
      digest,
      registry_ref: `${target(id)}@${digest}`,
      duration_ms: expect.any(Number),
    },
  });
  expect(await lane.remove(id)).toBe(204);
  await untilGone(id, on);
}
