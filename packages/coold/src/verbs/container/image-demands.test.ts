import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '@coold/runtime';
import { type PodmanService, scratchFolder, startPodman } from '@coold/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caller, silent } from '../../../test/caller.ts';
import { noFirewall, undenied, unserved } from '../../../test/no-firewall.ts';
import { createPodman } from '../../podman/client.ts';
import { verbHandlers } from '../verbs.ts';
import { denyImage, denyReservedLabels, denyRuntimeAnnotations, labelsAgainst } from './image-demands.ts';

/** BPF that allows whatever is asked, as crun takes it: `ret SECCOMP_RET_ALLOW`. */
const allowAll = 'BgAAAAAA/38=';

describe('an image that a real Podman would obey', () => {
  const stack = new AsyncDisposableStack();
  let podman: PodmanService;
  let call: ReturnType<typeof caller>;
  let folder: string;
  beforeAll(async () => {
    folder = stack.use(await scratchFolder()).path;
    podman = stack.use(await startPodman(join(folder, 'podman')));
    await podman.ensureTinyImage();
    const client = createPodman(podman.socketPath);
    const mesh = { hostMgmtIp: '100.64.0.1', namespaces: [], zone: 'coolify.internal' };
    const options = {
      version: '1',
      allowedMountSources: [],
      mesh,
      ...unserved,
      firewall: noFirewall,
      log: silent,
    };
    call = caller(verbHandlers(client, { ...options, namespaceNetworks: undenied(client.networks) }));
  });
  afterAll(() => stack.disposeAsync());

  /** Builds an image on the tiny one. */
  async function build(name: string, lines: string[], annotations: string[]): Promise<string> {
    await writeFile(join(folder, 'Dockerfile'), ['FROM localhost/tiny:latest', ...lines, ''].join('\n'));
    const archive = join(folder, `${name}.tar`);
    await runChild('tar', ['-C', folder, '-cf', archive, 'Dockerfile'], { timeoutMs: 20_000 });
    const query = new URLSearchParams({
      t: `localhost/${name}`,
      outputformat: 'application/vnd.oci.image.manifest.v1+json',
      annotations: JSON.stringify(annotations),
    });
    const built = await podman.request({
      method: 'POST',
      path: `/v4.0.0/libpod/build?${query}`,
      body: await readFile(archive),
      headers: { 'content-type': 'application/x-tar' },
    });
    if (built.status !== 200 || built.text.includes('"error"')) throw new Error(built.text);
    return `localhost/${name}:latest`;
  }

  it('is refused where its annotations are orders to the runtime', async () => {
    const image = await build(
      'orders',
      [],
      ['org.example.note=fine', `run.oci.seccomp_bpf_data=${allowAll}`],
    );
    await expect(call('containers.create', { image, name: 'refused' })).rejects.toMatchObject({
      code: 403,
      field: 'image',
      message: expect.stringContaining('run.oci.seccomp_bpf_data') as string,
    });
    await expect(call('containers.inspect', { id: 'refused' })).rejects.toMatchObject({ code: 404 });
    // Made past coold, or while another image was called so: it does not run by coold's doing. Podman 5 hands an image's
    // annotations down no more, so they are the container's own too.
    const path = '/v4.0.0/libpod/containers/create';
    const annotations = { 'run.oci.seccomp_bpf_data': allowAll };
    await podman.request({ method: 'POST', path, json: { image, name: 'past', annotations } });
    for (const verb of ['containers.start', 'containers.restart'])
      await expect(call(verb, { id: 'past' })).rejects.toMatchObject({ code: 403, field: 'id' });
  });

  it('is run where its annotations and labels mean nothing to those who run it', async () => {
    const image = await build('notes', ['LABEL a=b'], ['org.example.note=fine']);
    await call('containers.create', { image, name: 'plain', labels: { mine: '1' } });
    const { Config } = (await call('containers.inspect', { id: 'plain' })) as {
      Config: { Labels: Record<string, string> };
    };
    expect(Config.Labels).toMatchObject({ a: 'b', mine: '1' });
    expect(Config.Labels).not.toHaveProperty(['io.containers.autoupdate']);
    expect(await call('containers.start', { id: 'plain' })).toBeNull();
  });

  it('is refused where it wants a volume in place of the kernel', async () => {
    const image = await build('kernel', ['VOLUME /var/lib/x /proc/sys'], []);
    await expect(call('containers.create', { image, name: 'posing' })).rejects.toMatchObject({
      code: 403,
      field: 'image',
      message: expect.stringContaining('/proc/sys') as string,
    });
  });

  it('does not get the cgroups of the host to write by what it calls its program', async () => {
    const image = 'localhost/tiny:latest';
    await call('containers.create', { image, name: 'init', entrypoint: ['/sbin/init'] });
    const { Config, HostConfig } = (await call('containers.inspect', { id: 'init' })) as Record<
      'Config' | 'HostConfig',
      Record<string, unknown>
    >;
    expect(Config).not.toHaveProperty('SystemdMode', true);
    expect(HostConfig).toMatchObject({ CgroupMode: 'private' });
  });

  it('that has units of the host restarted is run, and has none restarted', async () => {
    const labels = 'LABEL io.containers.autoupdate=registry PODMAN_SYSTEMD_UNIT=ssh.service';
    const image = await build('restarts', [labels], []);
    await call('containers.create', { image, name: 'tamed' });
    expect(await call('containers.inspect', { id: 'tamed' })).toMatchObject({
      Config: { Labels: { 'io.containers.autoupdate': 'disabled' } },
    });
  });

  it.each(['io.containers.autoupdate', 'io.containers.autoupdate.authfile', 'PODMAN_SYSTEMD_UNIT'])(
    'is not made to by a label of the request: %s',
    async label => {
      const fields = { image: 'localhost/tiny:latest', name: 'labelled', labels: { [label]: 'registry' } };
      await expect(call('containers.create', fields)).rejects.toMatchObject({
        code: 403,
        field: `labels.${label}`,
      });
    },
  );

  it('and is not there is a 404 naming it', async () => {
    await expect(call('containers.create', { image: 'nosuch', name: 'x' })).rejects.toMatchObject({
      code: 404,
      field: 'image',
    });
  });
});

describe('orders', () => {
  const words = { annotations: {}, labels: {}, volumes: ['/data', '/processes'] };
  it.each([
    ...['run.oci.handler', 'run.oci.hooks.stdout', 'RUN.OCI.handler', 'org.systemd.property.TasksMax'],
    ...['org.criu.config', 'module.wasm.image/variant', 'io.podman.annotations.volumes-from'],
  ])('%s is one', name => {
    expect(() => denyImage({ ...words, annotations: { a: 'b', [name]: 'x' } })).toThrow(
      expect.objectContaining({ code: 403, field: 'image' }),
    );
  });

  it.each(['org.opencontainers.image.source', 'com.example.run.oci.x', 'run.ociate', '__proto__', ''])(
    '%j is none',
    name => {
      denyImage({ ...words, annotations: Object.fromEntries([[name, 'x']]) });
    },
  );

  it('are not labels with a similar name', () => {
    denyReservedLabels({
      'io.podman.compose.project': 'a',
      podman_systemd_unit: 'x',
      'com.io.containers.x': '',
    });
    expect(labelsAgainst({ ...words, labels: { PODMAN_SYSTEMD_UNIT: 'x' } })).toEqual({});
  });
});

it('annotations that Podman 5 writes itself are allowed; others under its names are not', () => {
  const podmans = {
    'io.container.manager': 'libpod',
    'org.opencontainers.image.stopSignal': '15',
    'org.systemd.property.KillSignal': '15',
    'org.systemd.property.TimeoutStopUSec': 'uint64 10000000',
  };
  expect(() => denyRuntimeAnnotations(podmans)).not.toThrow();
  for (const [name, value] of [
    ['org.systemd.property.KillSignal', '15, "x"'],
    ['org.systemd.property.TimeoutStopUSec', '[1]'],
    ['org.systemd.property.DevicePolicy', "'auto'"],
  ] as const)
    expect(() => denyRuntimeAnnotations({ [name]: value })).toThrow(name);
});
