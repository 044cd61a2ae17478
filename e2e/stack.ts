import { join } from 'node:path';
import {
  createPairing,
  freePort,
  type HttpAnswer,
  type Pairing,
  type PodmanService,
  type Program,
  scratchFolder,
  startPodman,
  unixHttp,
} from '@coold/testbed';
import { startStandIn } from '@coold/testbed/corrosion';
import { createPacketFilter, type PacketFilter } from '@coold/testbed/packet-filter';

/**
 * A real broker, coold and Podman, each in its own process, and the stand-in for Corrosion: the start of a test of the
 * whole product.
 */
export interface Stack extends AsyncDisposable {
  folder: string;
  pairing: Pairing;
  podman: PodmanService;
  /** The packet filter that coold's iptables and nft change. */
  filter: PacketFilter;
  broker: Program;
  coold: Program;
  /** Posts a command for the stack's host. */
  dispatch(requestId: string, command?: object): Promise<HttpAnswer>;
  /** Starts another coold, with its own rules. */
  startCoold(env: Record<string, string>): Program;
  /** Restarts a broker that a test killed, and resolves once the host is connected again. */
  restartBroker(): Promise<void>;
  restartCoold(): Promise<void>;
}

export async function startStack(
  env: { broker?: Record<string, string>; coold?: Record<string, string> } = {},
  scripts?: Record<'broker' | 'coold', string>,
): Promise<Stack> {
  const cleanup = new AsyncDisposableStack();
  try {
    const { path: folder } = cleanup.use(await scratchFolder());
    const podman = cleanup.use(await startPodman(join(folder, 'podman')));
    const corrosion = cleanup.use(await startStandIn(folder));
    const pairing = await createPairing({
      folder,
      hostId: 'host-1',
      port: await freePort(),
      podmanSocket: podman.socketPath,
      ...(scripts === undefined ? {} : { scripts }),
    });
    const startBroker = async () => {
      const broker = cleanup.use(pairing.startBroker({ env: env.broker ?? {} }));
      await broker.logged(line => line.msg === 'listening for Laravel');
      return broker;
    };
    // coold runs on this machine, but changes a packet filter in a separate namespace.
    const filter = cleanup.use(await createPacketFilter(join(folder, 'packet-filter')));
    await filter.scaffold();
    const own = {
      PATH: filter.path,
      COOLD_RULES_PATH: join(folder, 'allow.rules'),
      COOLD_BRIDGE_RULES_PATH: join(folder, 'allow.nft'),
      COOLD_CORROSION_URL: corrosion.url,
    };
    const startCoold = () => cleanup.use(pairing.startCoold({ env: { ...own, ...env.coold } }));
    const connected = (broker: Program, after: number) =>
      broker.logged(line => line.msg === 'host connected' && broker.lines.indexOf(line) >= after);
    const broker = await startBroker();
    const coold = startCoold();
    await connected(broker, 0);
    const stack: Stack = {
      folder,
      podman,
      pairing,
      filter,
      broker,
      coold,
      async dispatch(requestId, command = { type: 'list_containers' }) {
        await using lane = unixHttp(pairing.socketPath);
        const json = { host_id: pairing.hostId, request_id: requestId, command };
        return await lane.request({ method: 'POST', path: '/v1/coold/dispatch', json });
      },
      startCoold: env => cleanup.use(pairing.startCoold({ env: { PATH: filter.path, ...env } })),
      async restartBroker() {
        stack.broker = await startBroker();
        await connected(stack.broker, 0);
      },
      async restartCoold() {
        const seen = stack.broker.lines.length;
        stack.coold = startCoold();
        await connected(stack.broker, seen);
      },
      [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
    };
    return stack;
  } catch (error) {
    await cleanup.disposeAsync();
    throw error;
  }
}
