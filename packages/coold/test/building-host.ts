import { create } from '@bufbuild/protobuf';
import { HelloSchema } from '@coold/proto';
import { createChangeSignal } from '@coold/runtime';
import { createBuilds } from '../src/builds/builds.ts';
import { Driver } from '../src/builds/driver.ts';
import { createWorkFolders } from '../src/builds/folder/work-folder.ts';
import { readUnitStates } from '../src/builds/unit/systemd.ts';
import { keepLink } from '../src/link/link.ts';
import { createServeCommands } from '../src/transport/stream.ts';
import { createStreams } from '../src/transport/streams.ts';
import { silent as log } from './caller.ts';
import { noNetworks, type SimulatedSystemd, simulateSystemd } from './simulated-systemd.ts';

/** A host that builds, as far as a broker can tell: coold's link and its builds, and units that a test ends. */
export interface BuildingHost extends AsyncDisposable {
  systemd: SimulatedSystemd;
}

/** @param options.port of a broker on 127.0.0.1 without TLS */
export async function startBuildingHost(options: {
  port: number;
  tokenPath: string;
  workFolder: string;
}): Promise<BuildingHost> {
  const { port, tokenPath, workFolder } = options;
  const stop = new AbortController();
  const folders = createWorkFolders(workFolder);
  const simulated = simulateSystemd();
  const { systemd } = simulated;
  const limits = { memoryMax: '2G', cpuQuota: '200%', diskMax: '10G', inodesMax: '2000000', cacheMax: '5G' };
  const config = { bin: '/builder', timeoutSecs: 60, ...limits, denyNets: [] };
  const builds = createBuilds({
    folders,
    log,
    capacity: 2,
    stop: stop.signal,
    driver: new Driver({ folders, systemd, networks: noNetworks, config, log }),
    unitStates: () => readUnitStates(systemd, log),
  });
  await builds.adopt();
  const capabilities = ['coold', 'builder'];
  const about = { hostMgmtIp: '100.64.0.5', cooldVersion: '0.0.0', schemaMin: 1, schemaMax: 2 };
  const linked = keepLink({
    url: { host: '127.0.0.1', authority: `127.0.0.1:${port}`, tls: false },
    tokenPath,
    caPath: undefined,
    log,
    hello: async () => create(HelloSchema, { ...about, capabilities, builderCapacity: 2 }),
    serve: createServeCommands({
      surface: new Map(),
      streams: createStreams(log),
      builds,
      record: () => {},
      log,
    }),
    onState: () => {},
    onCredentials: () => {},
    ways: createChangeSignal(),
  })(stop.signal);
  return {
    systemd: simulated,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await linked;
    },
  };
}
