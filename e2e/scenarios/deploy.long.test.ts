// Deploys an application to a host as central does, steps T2 to T10, with either way to call a host.
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createBuildLane, startGitServer } from '../harness/build-lane.ts';
import { type Caller, type Command, laravel, operator } from '../harness/callers.ts';
import { addressesIn, dig, type Vantage, vantage } from '../harness/dig.ts';
import { eventually } from '../harness/eventually.ts';
import type { Fleet, FleetHost } from '../harness/fleet.ts';
import { busyboxImage, runContainer } from '../harness/images.ts';
import { addressOf, fetched } from '../harness/pages.ts';
import { expectExec } from '../harness/provider.ts';
import { pushBusybox, registryAuth, startRegistry } from '../harness/registry.ts';
import { twoHosts } from './two-hosts.ts';

const scenarioMs = 3 * 60_000;

let fleet: Fleet;
let a: FleetHost;
let b: FleetHost;
/** On the other host. */
let neighbour: Vantage;
let image: string;
let digest: string;

twoHosts(
  ['default'],
  async given => {
    ({ fleet, a, b } = given);
    const { network = '', gateway = '' } = a.namespaces['default'] ?? {};
    await runContainer(a.host, { name: 'neighbour', network });
    neighbour = await vantage(a.host, 'neighbour', gateway);
    image = `${await startRegistry(a, fleet.hosts)}/tenant/web:v2`;
    digest = await pushBusybox(a, image);
  },
  { beside: ['c'], builders: { b: {} } },
);

const ways: [string, () => Caller][] = [
  ['PHP over broker.sock', () => laravel(fleet)],
  ['curl over REST', () => operator()],
];

/** Returns the text of a stream's output. */
const said = (lines: unknown[]) => lines.map(line => (line as { data?: string }).data ?? '').join('');

describe.each(ways)('%s', (_name, caller) => {
  /** Calls a verb that has to succeed. @returns its data */
  async function done(command: Command): Promise<unknown> {
    const answer = await caller().call(b, command);
    expect(answer, command.type).toMatchObject({ ok: true });
    return answer.ok ? answer.data : undefined;
  }

  const web = (name: string) => ({
    type: 'containers.create',
    image,
    name,
    network: 'coolify-default-mesh',
    command: ['httpd', '-f', '-p', '80', '-h', '/www'],
    env: { GREETING: 'hello from web' },
    mounts: [{ volume: 'web-data', target: '/www' }],
    // Healthy as soon as there is a page to serve.
    healthcheck: { test: ['CMD', 'wget', '-qO-', 'http://127.0.0.1/'], interval: '1s', retries: 60 },
    labels: { 'coolify.app': 'web' },
    restart_policy: 'unless-stopped',
    stop_timeout: 1,
    init: true,
    resources: { memory: 64 * 1024 * 1024, pids: 50 },
  });

  test('an application is pulled, created, started, found healthy, reloaded and removed', {
    timeout: scenarioMs,
  }, async () => {
    // T2: the image, from a registry on another host.
    expect(await done({ type: 'images.pull', ref: image })).toEqual({ digest });
    expect(await done({ type: 'images.list' })).toContainEqual(
      expect.objectContaining({ ref: image, digest }),
    );
    // T3
    await done({ type: 'volumes.create', name: 'web-data' });
    await done({ type: 'volumes.create', name: 'web-data' });
    // T4, T5
    const { id } = (await done(web('web'))) as { id: string };
    await done({ type: 'containers.start', id });
    await done({ type: 'containers.start', id });
    // T9, like central reloads a proxy: runs a program inside and reads its output.
    const write = ['sh', '-c', 'echo "$GREETING" >/www/index.html && cat /www/index.html && kill -HUP 1'];
    expect(await done({ type: 'containers.exec', id, cmd: write })).toEqual({
      exit_code: 0,
      output: 'hello from web\n',
      truncated: false,
    });
    // T6
    await eventually('the container to be healthy', () => isHealthy(id), { timeoutMs: 60_000, everyMs: 500 });
    expect(await done({ type: 'host.containers' })).toContainEqual(
      expect.objectContaining({ id, name: 'web', state: 'running', health: 'healthy' }),
    );
    const [address] = Object.values(await addressesOf(id));
    const page = ['podman', 'exec', 'web', 'wget', '-qO-', `http://${address}/`] as const;
    expect(await expectExec(b.host, page)).toBe('hello from web\n');
    // T8: one rule on the application's host admits only the other host's proxy.
    const proxied = () => fetched(fleet.central, 'neighbour', `http://${address}/`);
    expect(await proxied()).toBe('');
    const flow = { src: await addressOf(fleet.central, 'neighbour'), dst: address, proto: 'tcp', port: 80 };
    const rule = (await done({ type: 'firewall.allow', namespace: 'default', ...flow })) as { id: string };
    expect(await proxied()).toBe('hello from web');
    await done({ type: 'firewall.revoke', id: rule.id });
    expect(await proxied()).toBe('');
    // T7 and its purpose: the name resolves on the other host.
    const service = { service_id: 'shop-1', name: 'shop', namespace: 'default', container_id: id, port: 80 };
    await done({ type: 'services.register', ...service });
    await done({ type: 'services.register', ...service });
    const endpoint = { container_id: id, container_ip: address, host_mgmt_ip: b.mgmtIp, port: 80 };
    await eventually(
      'the service to be known as healthy',
      async () => {
        const endpoints = await done({ type: 'services.endpoints', id: 'shop-1' });
        const wanted = [{ ...endpoint, state: 'running', health: 'healthy' }];
        return isDeepStrictEqual(endpoints, wanted) || undefined;
      },
      { timeoutMs: 30_000 },
    );
    await found('shop', ['NOERROR', address]);
    await found('web', ['NOERROR', address]);
    expect(await done({ type: 'dns.lookup', name: 'shop.default.coolify.internal' })).toEqual({
      name: 'shop.default.coolify.internal',
      in_zone: true,
      rcode: 'NOERROR',
      ttl: 5,
      answers: [{ address, host_mgmt_ip: b.mgmtIp, container_id: id }],
      left_out: [],
      names: [],
    });
    // T10
    await done({ type: 'services.unregister', id: 'shop-1', container_id: id });
    await done({ type: 'services.unregister', id: 'shop-1', container_id: id });
    expect(await done({ type: 'services.endpoints', id: 'shop-1' })).toEqual([]);
    await found('shop', ['NXDOMAIN']);
    await found('web', ['NOERROR', address]);
    // Registered again, the service disappears with its container.
    await done({ type: 'services.register', ...service });
    await found('shop', ['NOERROR', address]);
    await done({ type: 'containers.stop', id, timeout: 1 });
    await done({ type: 'containers.stop', id, timeout: 1 });
    await done({ type: 'containers.delete', id });
    await done({ type: 'volumes.delete', name: 'web-data' });
    await done({ type: 'images.delete', ref: image });
    expect(await done({ type: 'host.containers' })).toEqual([]);
    for (const name of ['shop', 'web']) await found(name, ['NXDOMAIN']);
    await eventually(
      'its registration to be gone',
      async () =>
        isDeepStrictEqual(await done({ type: 'services.endpoints', id: 'shop-1' }), []) || undefined,
      { timeoutMs: 30_000 },
    );
  });

  test('a service with an invalid field is refused by name', async () => {
    const { id } = (await done({ ...web('web'), image: busyboxImage })) as { id: string };
    const service = { service_id: 'shop-2', name: 'shop', namespace: 'default', container_id: id, port: 80 };
    const refused: [Record<string, unknown>, object][] = [
      [{ service_id: 'a/b' }, { code: 400, field: 'service_id' }],
      [{ name: 'a.b' }, { code: 400, field: 'name' }],
      [{ name: 'x'.repeat(64) }, { code: 400, field: 'name' }],
      [{ name: 7 }, { code: 400, field: 'name' }],
      [{ namespace: 'a b' }, { code: 400, field: 'namespace' }],
      [{ container_id: '../../etc' }, { code: 400, field: 'container_id' }],
      [{ container_id: 'nosuch' }, { code: 404 }],
      [{ port: 65_536 }, { code: 400, field: 'port' }],
      [{ port: '80x' }, { code: 400, field: 'port' }],
      [{ surplus: true }, { code: 400, field: 'surplus' }],
    ];
    for (const [change, error] of refused) {
      const answer = await caller().call(b, { type: 'services.register', ...service, ...change });
      expect(answer, JSON.stringify(change)).toMatchObject({ ok: false, ...error });
    }
    for (const bad of ['a b', 'x'.repeat(200)])
      expect(await caller().call(b, { type: 'services.endpoints', id: bad })).toMatchObject({
        ok: false,
        code: 400,
        field: 'id',
      });
    expect(await done({ type: 'services.endpoints', id: 'shop-2' })).toEqual([]);
    await done({ type: 'containers.delete', id });
    await done({ type: 'volumes.delete', name: 'web-data' });
  });

  test('a forbidden spec is refused by name, and leaves nothing behind', async () => {
    const refused: [Record<string, unknown>, { code: number; field: string }][] = [
      [{ privileged: true }, { code: 403, field: 'privileged' }],
      [{ cap_add: ['SYS_ADMIN'] }, { code: 403, field: 'cap_add[0]' }],
      [{ mounts: [{ bind: '/etc', target: '/host' }] }, { code: 403, field: 'mounts[0].bind' }],
      [
        { network: '', network_mode: 'host' },
        { code: 403, field: 'network_mode' },
      ],
      [{ securityopt: ['seccomp=unconfined'] }, { code: 400, field: 'securityopt' }],
    ];
    for (const [spec, error] of refused)
      expect(await caller().call(b, { ...web('bad'), ...spec })).toMatchObject({ ok: false, ...error });
    expect(await done({ type: 'host.containers' })).toEqual([]);
  });

  test(`an application's output is followed, and programs in it get input`, {
    timeout: scenarioMs,
  }, async () => {
    await done({ type: 'images.pull', ref: image });
    const run = async (name: string, script: string) => {
      const command = ['sh', '-c', script];
      await done({ type: 'containers.create', image, name, command, stop_timeout: 0 });
      await done({ type: 'containers.start', id: name });
    };
    await run('talker', 'for n in 1 2 3; do echo line $n; sleep 1; done');
    const followed = await caller().stream(b, { type: 'containers.logs', id: 'talker', follow: true });
    expect(said(followed)).toBe('line 1\nline 2\nline 3\n');

    await run('idle', 'exec sleep 100000');
    // As a user other than coold's, in the container and therefore on the host.
    const exec = (cmd: string[]) => ({ type: 'containers.exec', id: 'idle', user: '1234:1234', cmd });
    const input = [{ stdin: 'one\n' }, { stdin: 'zwei ü\n' }, { eof: true }];
    const spoken = await caller().stream(b, exec(['cat']), { input });
    expect(said(spoken)).toBe('one\nzwei ü\n');
    expect(spoken.at(-1)).toEqual({ exit_code: 0 });

    const left = await caller().stream(b, exec(['sh', '-c', 'echo begun; sleep 4242; :']), {
      leaveAfterS: 6,
    });
    expect(left).toEqual([{ stream: 'stdout', data: 'begun\n' }]);
    const running = async () =>
      (await expectExec(b.host, ['podman', 'top', 'idle', 'user', 'args'])).toString();
    await eventually(
      'the program to have ended with its caller',
      async () => ((await running()).includes('4242') ? undefined : true),
      { timeoutMs: 15_000, everyMs: 250 },
    );

    for (const id of ['talker', 'idle']) await done({ type: 'containers.delete', id, force: true });
    await done({ type: 'images.delete', ref: image });
  });

  /** Resolves once a name of the namespace gives this code and these addresses on the other host. */
  async function found(name: string, wanted: readonly unknown[]): Promise<void> {
    await eventually(
      `${name} to be ${wanted.join(' ')} on the other host`,
      async () => {
        const dug = await dig(neighbour, `${name}.default.coolify.internal`);
        return isDeepStrictEqual([dug.rcode, ...addressesIn(dug)], wanted) || undefined;
      },
      { timeoutMs: 30_000 },
    );
  }

  async function isHealthy(id: string): Promise<true | undefined> {
    const container = (await done({ type: 'containers.inspect', id })) as {
      State: { Health?: { Status: string } };
    };
    return container.State.Health?.Status === 'healthy' || undefined;
  }

  async function addressesOf(id: string): Promise<Record<string, string>> {
    const containers = (await done({ type: 'host.containers' })) as {
      id: string;
      addresses: Record<string, string>;
    }[];
    return containers.find(container => container.id === id)?.addresses ?? {};
  }
});

test('an application is built on one host, pushed to a registry on a third, and runs on another', {
  timeout: scenarioMs,
}, async () => {
  const c = fleet.hosts.find(({ name }) => name === 'c') ?? expect.fail('three hosts were asked for');
  // Beside the mesh, which builds cannot reach.
  const registry = await startRegistry({ ...c, mgmtIp: c.host.address }, fleet.hosts, { asks: true });
  const git = await startGitServer(c.host);
  const dockerfile = [
    `FROM ${busyboxImage}`,
    'COPY page /www',
    'CMD ["httpd", "-f", "-p", "80", "-h", "/www"]',
  ];
  await git.repository('shop', {
    Dockerfile: dockerfile.join('\n'),
    'page/index.html': 'from the other host\n',
  });
  await allowPlain(registry);
  const lane = createBuildLane(fleet);
  const target = `${registry}/tenant/shop:v1`;
  const command = {
    type: 'dockerfile_build',
    repo_url: `${git.url}/shop`,
    git_ref: 'main',
    target_image: target,
    push: { auth: registryAuth },
    base_images: [busyboxImage],
  };
  expect(await lane.dispatch('shop-1', command)).toMatchObject({ status: 202 });
  const built = await lane.result('shop-1');
  expect(built).toMatchObject({ status: 200, body: { status: 'ok' } });
  const { digest: pushed, registry_ref: ref } = built.body as Record<string, string>;
  expect(ref).toBe(`${target}@${pushed}`);
  const said = (await lane.events('shop-1')).filter(({ stage }) => stage === 'push').map(({ log }) => log);
  expect(said).toContain(`pushing 2 layers to ${registry}`);
  // A worker that died during the answer asks again.
  expect(await lane.result('shop-1')).toEqual(built);

  // Without credentials the other host gets no image; with them it gets the built one.
  expect(await laravel(fleet).call(a, { type: 'images.pull', ref })).toMatchObject({ ok: false });
  const done = async (call: Command) => {
    const answer = await laravel(fleet).call(a, call);
    expect(answer, call.type).toMatchObject({ ok: true });
    return answer.ok ? answer.data : undefined;
  };
  expect(await done({ type: 'images.pull', ref, auth: registryAuth })).toEqual({ digest: pushed });
  const spec = { image: ref, name: 'shop', network: 'coolify-default-mesh', stop_timeout: 0 };
  const { id } = (await done({ type: 'containers.create', ...spec })) as { id: string };
  await done({ type: 'containers.start', id });
  const page = { type: 'containers.exec', id, cmd: ['wget', '-qO-', 'http://127.0.0.1/'] };
  await eventually(
    'the page to be served',
    async () => {
      const answer = await laravel(fleet).call(a, page);
      return (
        (answer.ok &&
          isDeepStrictEqual((answer.data as { output: string }).output, 'from the other host\n')) ||
        undefined
      );
    },
    { timeoutMs: 30_000 },
  );
  await done({ type: 'containers.delete', id, force: true });

  // No secret is left on the host that built it, while its result is still there.
  const kept = '/var/lib/coolify-builder/work/shop-1';
  const traces = await b.host.exec([
    ...(['grep', '-rlF', '--', registryAuth.password] as const),
    ...[kept, '/dev/shm', '/var/log', '/run/log', '/run/coolify', '/run/containers'],
  ]);
  expect(traces.stdout).toBe('');
  const journal = await expectExec(b.host, ['journalctl', '--no-pager', '--quiet']);
  expect(journal).not.toContain(registryAuth.password);
  expect(await lane.remove('shop-1')).toBe(204);
  await eventually(
    'nothing to be left of it',
    async () => ((await b.host.exec(['test', '-e', kept])).code === 0 ? undefined : true),
    { timeoutMs: 30_000 },
  );
});

/** Lets the builder push to a registry without TLS, as an operator would. */
async function allowPlain(registry: string): Promise<void> {
  const line = `COOLD_BUILDER_INSECURE_REGISTRIES=${registry}`;
  const script = 'printf "%s\\n" "$1" >>/etc/coolify/coold.env && systemctl restart coold';
  await expectExec(b.host, ['sh', '-c', script, 'sh', line]);
  await fleet.allConnected(60_000);
}
