import { VerbError } from '@coold/errors';
import { createBackoff, errorMessage, type Logger, pause, type Task, untilAborted } from '@coold/runtime';
import { type Cidr, cidr } from '../../firewall/rule/cidr.ts';
import type { JoinedSubnets } from '../../firewall/scaffold/joined-subnets.ts';
import { PodmanStatusError } from '../../podman/failure.ts';
import type { NetworkSpec, PodmanNetwork, PodmanNetworks } from '../../podman/networks.ts';

/** A network's namespace is stored on the network itself, so that it lives and dies with it. */
export const namespaceLabel = 'coolify.namespace';

/** A network whose subnet is known before Podman creates it. */
export type PlacedNetwork = NetworkSpec & Required<Pick<NetworkSpec, 'subnet'>>;

/**
 * The networks of namespaces. Their subnets are part of the default deny before they can carry a container and until
 * they are gone (docs/contract.md §3). Podman's labels are the truth: the next call, or the next start, repairs
 * whatever was interrupted.
 */
export interface NamespaceNetworks {
  /**
   * @param place checks or chooses the subnet, while no other call does
   *
   * @throws VerbError 503 when it cannot be denied
   */
  create(place: () => Promise<PlacedNetwork>, signal: AbortSignal): Promise<PodmanNetwork>;
  remove(name: string, signal: AbortSignal): Promise<void>;
  /** At coold's start, denies the subnets that exist and stops denying those that do not; then rests. */
  settle: Task;
}

export function createNamespaceNetworks(
  networks: PodmanNetworks,
  joined: JoinedSubnets,
  log: Logger,
): NamespaceNetworks {
  let last: Promise<unknown> = Promise.resolve();
  /** The subnets of networks for which it is not known whether Podman still creates them. */
  const doubtful = new Set<Cidr>();

  /** One at a time, because each inspects all networks and decides by them. */
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
          const why = errorMessage(error);
          log.error({ err: error, subnet }, 'a subnet cannot be denied; its network is not created');
          await keepExisting(signal);
          throw new VerbError('firewall_failed', `subnet ${subnet} cannot be denied: ${why}`, {
            cause: error,
          });
        }
        try {
          return await networks.create(spec, signal);
        } catch (error) {
          // Only Podman's explicit refusal proves that the network will not exist.
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
          await pause(waitMs, stop);
        }
      }
      await untilAborted(stop);
    },
  };
}

/** Returns the subnets of a network that have to be denied. */
function deniedOf({ labels, subnets }: PodmanNetwork): Cidr[] {
  if ((labels[namespaceLabel] ?? '') === '') return [];
  return subnets.flatMap(({ subnet }) => cidr.parse(subnet) ?? []);
}
