import { join } from 'node:path';
import { createCorrosion } from '@coold/corrosion';
import { type PodmanService, startPodman } from '@coold/testbed';
import { testLog } from '@coold/testbed/corrosion';
import { everyEndpoint, readEndpoint } from '../src/discovery/corrosion/endpoint-table.ts';
import { createDiscovery, type Discovery, type DiscoveryOptions } from '../src/discovery/discovery.ts';
import type { Endpoint } from '../src/discovery/endpoint.ts';
import { createPodman, type Podman } from '../src/podman/client.ts';
import { namespaceLabel } from '../src/verbs/network/namespace-networks.ts';

// For tests: discovery as the daemon runs it, on a Podman and an agent of its own.

export const hostMgmtIp = '100.64.0.1';
export const forever = new AbortController().signal;

export const namespaces = [
  { name: 'default', network: 'mesh', gateway: '10.231.1.1' },
  { name: 'alpha', network: 'alpha-mesh', gateway: '10.231.2.1' },
];

export interface RunningDiscovery extends Discovery, AsyncDisposable {
  /** What a task ended with, if one did. */
  failures: unknown[];
}

/** @param timeoutMs of requests to Corrosion */
export function runDiscovery(
  podman: DiscoveryOptions['podman'],
  url: string,
  options: Partial<DiscoveryOptions> & { timeoutMs?: number } = {},
): RunningDiscovery {
  const discovery = createDiscovery({
    hostMgmtIp,
    namespaces,
    namespaceLabel,
    podman,
    intervalMs: 200,
    log: testLog(),
    readPeers: async () => undefined,
    hostTtlMs: 20 * 60_000,
    networkPool: undefined,
    auditPatienceMs: 1000,
    corrosion: { url, tokenFile: undefined, timeoutMs: options.timeoutMs ?? 2000 },
    ...options,
  });
  const stop = new AbortController();
  const failures: unknown[] = [];
  const running = Object.values(discovery.tasks).map(async task => {
    try {
      await task(stop.signal);
    } catch (error) {
      failures.push(error);
    }
  });
  return {
    ...discovery,
    failures,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(running);
    },
  };
}

/** A Podman with the networks of `namespaces` and an image. */
export interface MeshHost extends AsyncDisposable {
  service: PodmanService;
  podman: Podman;
  /** @returns the id */
  run(name: string, networks?: string[], more?: object): Promise<string>;
  act(method: 'POST' | 'DELETE', path: string, json?: unknown): Promise<void>;
}

export async function startMeshHost(folder: string): Promise<MeshHost> {
  const service = await startPodman(join(folder, 'podman'));
  const podman = createPodman(service.socketPath);
  await service.ensureTinyImage();
  for (const [index, { network }] of namespaces.entries()) {
    const subnet = { subnet: `10.231.${index + 1}.0/24`, gateway: undefined };
    await podman.networks.create(
      { name: network, driver: 'bridge', options: {}, labels: {}, subnet },
      forever,
    );
  }
  return {
    service,
    podman,
    async run(name, networks = ['mesh'], more = {}) {
      const id = await podman.containers.create(
        {
          name,
          image: 'localhost/tiny:latest',
          cgroup_parent: '/coold-testbed',
          netns: { nsmode: 'bridge' },
          Networks: Object.fromEntries(networks.map(one => [one, {}])),
          stop_timeout: 0,
          ...more,
        },
        forever,
      );
      await podman.containers.start(id, forever);
      return id;
    },
    async act(method, path, json) {
      const answer = await service.request({
        method,
        path: `/v4.0.0/libpod${path}`,
        ...(json === undefined ? {} : { json }),
      });
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

/** Every row that an agent has, by container. */
export async function rowsOf(url: string): Promise<Map<string, Endpoint>> {
  const rows = new Map<string, Endpoint>();
  await createCorrosion({ url, tokenFile: undefined }).query(
    everyEndpoint,
    values => {
      const row = readEndpoint(values);
      rows.set(row.containerId, row);
    },
    forever,
  );
  return rows;
}
