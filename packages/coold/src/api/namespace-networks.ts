import { setTimeout as delay } from 'node:timers/promises';
import { createBackoff, type Logger, type Task } from '@coold/runtime';
import { type Cidr, cidr } from '../firewall/cidr.ts';
import type { JoinedSubnets } from '../firewall/joined-subnets.ts';
import { PodmanStatusError } from '../podman/failure.ts';
import type { NetworkSpec, PodmanNetwork, PodmanNetworks } from '../podman/networks.ts';
import { VerbError } from './verb-error.ts';

/** Where a network's namespace is kept: on the network itself, so that it lives and dies with it. */
export const namespaceLabel = 'coolify.namespace';

/** A network whose subnet is known before Podman makes it. */
export type PlacedNetwork = NetworkSpec & Required<Pick<NetworkSpec, 'subnet'>>;

/**
 * The networks of namespaces, whose subnets are part of the default deny before they can carry a container and until they
 * are gone (docs/contract.md §3). Podman's labels are the truth: whatever was interrupted is made good by the next
 * call, and at start.
 */
export interface NamespaceNetworks {
  /** @param place checks or chooses the subnet, while nobody else does. @throws VerbError 503 when it cannot be denied */
  create(place: () => Promise<PlacedNetwork>, signal: AbortSignal): Promise<PodmanNetwork>;
  remove(name: string, signal: AbortSignal): Promise<void>;
  /** Denies the subnets that there are when coold starts, and no longer those that are not; then rests. */
  settle: Task;
}

export function createNamespaceNetworks(
  networks: PodmanNetworks,
  joined: JoinedSubnets,
  log: Logger,
): NamespaceNetworks {
  let last: Promise<unknown> = Promise.resolve();
  /** Of networks of which it is not known whether Podman still makes them. */
  const doubtful = new Set<Cidr>();

  /** One at a time: each looks at all networks, and decides by that. */
  function alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  }

  function keep(existing: readonly PodmanNetwork[], ...coming: Cidr[]): Promise<void> {
    const denied = existing.flatMap(deniedOf);
    for (const subnet of denied) doubtful.delete(subnet);
    return joined.keep([...denied, ...doubtful, ...coming]);
  }

  async function keepExisting(signal: AbortSignal): Promise<void> {
    try {
      await keep(await networks.list(signal));
    } catch (error) {
      log.warn(
        { err: error },
        'a subnet may stay in the default deny without a network; the next change of networks sees to it',
      );
    }
  }

  return {
    create: (place, signal) =>
      alone(async () => {
        const spec = await place();
        const { subnet } = spec.subnet;
        try {
          await keep(await networks.list(signal), subnet);
        } catch (error) {
          if (error instanceof VerbError) throw error;
          const why = error instanceof Error ? error.message : String(error);
          log.error({ err: error, subnet }, 'a subnet cannot be denied; its network is not created');
          await keepExisting(signal);
          throw new VerbError(503, `subnet ${subnet} cannot be denied: ${why}`, { cause: error });
        }
        try {
          return await networks.create(spec, signal);
        } catch (error) {
          // Only Podman's own no says that there will be no such network.
          if (error instanceof VerbError && error.cause instanceof PodmanStatusError)
            await keepExisting(signal);
          else doubtful.add(subnet);
          throw error;
        }
      }),
    remove: (name, signal) =>
      alone(async () => {
        await networks.remove(name, signal);
        await keepExisting(signal);
      }),
    settle: async stop => {
      const backoff = createBackoff({ firstMs: 1000, maxMs: 60_000 });
      while (!stop.aborted) {
        try {
          await alone(async () => keep(await networks.list(stop)));
          break;
        } catch (error) {
          if (stop.aborted) return;
          const waitMs = 1000 + backoff.next();
          log.warn(
            { err: error, again_in_ms: waitMs },
            'it cannot be seen to that the networks of namespaces are denied; trying again',
          );
          await delay(waitMs, undefined, { signal: stop }).catch(() => {});
        }
      }
      await new Promise<void>(resolve => {
        if (stop.aborted) resolve();
        else stop.addEventListener('abort', () => resolve(), { once: true });
      });
    },
  };
}

/** What of a network has to be denied. */
function deniedOf({ labels, subnets }: PodmanNetwork): Cidr[] {
  if ((labels[namespaceLabel] ?? '') === '') return [];
  return subnets.flatMap(({ subnet }) => cidr.parse(subnet) ?? []);
}
