import { VerbError } from '@coold/errors';
import type { Logger } from '@coold/runtime';
import type { ContainerFacts, EventSubject, PodmanLifecycle } from '../../podman/lifecycle.ts';
import type { PodmanNetwork, PodmanNetworks } from '../../podman/networks.ts';
import type { ContainerAliases } from '../corrosion/alias-writer.ts';
import { type Endpoint, isDnsLabel } from '../endpoint.ts';
import type { Namespace } from '../namespaces.ts';
import { containerEndpoint, type NetworkNamespaces, networkNamespaces } from './container-endpoint.ts';

export interface HostContainersOptions {
  lifecycle: PodmanLifecycle;
  networks: Pick<PodmanNetworks, 'list'>;
  namespaces: readonly Namespace[];
  /** The network label that holds the namespace. */
  namespaceLabel: string;
  hostMgmtIp: string;
  /** Called at first and whenever this host's networks have changed. @param subnets of all networks */
  onNetworks(subnets: readonly string[]): void;
  /** Called after every inspection of a container, on whatever network, and once all were inspected. */
  tell?: ContainerTeller | undefined;
  log: Logger;
}

/** Receives what Podman reports of containers. */
export interface ContainerTeller {
  /** The current facts. They may be the same as before. */
  changed(facts: ContainerFacts): void;
  gone(id: string): void;
  /** Every container was inspected once. */
  whole(): void;
}

/** This host's containers, as Podman last reported them. */
export interface HostContainers {
  /** The rows of containers on managed networks; undefined until all were inspected once. */
  rows(): ReadonlyMap<string, Endpoint> | undefined;
  /** The containers with additional names, in the namespaces of their rows. */
  aliases(): ReadonlyMap<string, ContainerAliases>;
  /** A container's facts from its last inspection, on whatever network; undefined when there was none. */
  facts(id: string): ContainerFacts | undefined;
  /** Whether Podman has the container, as far as is known. */
  has(id: string): boolean;
  /** Whether the container exists and Podman could not describe it. Its row is left as it is. */
  isUnread(id: string): boolean;
  /**
   * Lists all containers and inspects those that are new or have changed; `lookAt` may run at the same time.
   *
   * @throws VerbError when Podman does not answer
   */
  lookAtAll(signal: AbortSignal): Promise<void>;
  /**
   * Inspects these containers, each because of an event. A container that Podman does not know is gone.
   *
   * @throws VerbError when Podman does not answer
   */
  lookAt(heard: Iterable<readonly [id: string, about: EventSubject]>, signal: AbortSignal): Promise<void>;
}

/** Podman mostly handles one request after the other. A few at once keep it busy. */
const inspectsAtOnce = 8;

/** A container that was inspected. */
interface Known {
  facts: ContainerFacts;
  /** Its list entry when it was inspected; undefined when it has to be inspected again. */
  fingerprint: string | undefined;
}

/** A container to inspect, and how it was listed. */
type Inspection = readonly [id: string, fingerprint: string | undefined];

export function createHostContainers(options: HostContainersOptions): HostContainers {
  const { lifecycle, networks, namespaces, namespaceLabel, onNetworks, tell, log } = options;
  const known = new Map<string, Known>();
  const unread = new Set<string>();
  const rows = new ContainerRows(options);
  const order = new InspectionOrder();
  let isWhole = false;
  let subnets: string | undefined;

  const forget = (id: string) => {
    if (known.delete(id)) tell?.gone(id);
    unread.delete(id);
    rows.forget(id);
  };
  const take = (facts: ContainerFacts, fingerprint: string | undefined) => {
    known.set(facts.id, { facts, fingerprint });
    tell?.changed(facts);
    unread.delete(facts.id);
    rows.place(facts);
  };
  const inspect = ([id, fingerprint]: Inspection, signal: AbortSignal) =>
    order.run(
      id,
      () => factsOf(lifecycle, id, signal),
      facts => (facts === undefined ? forget(id) : take(facts, fingerprint)),
    );
  /** Inspects all of them, even when one of them fails, but stops when Podman does not answer. */
  const inspectAll = async (those: readonly Inspection[], signal: AbortSignal) => {
    const queue = those.values();
    let unreachable: unknown;
    const work = async () => {
      for (const inspection of queue) {
        if (unreachable !== undefined) return;
        const [id] = inspection;
        try {
          await inspect(inspection, signal);
        } catch (error) {
          if (error instanceof VerbError && error.code === 503) unreachable = error;
          const before = known.get(id);
          if (before === undefined) unread.add(id);
          else before.fingerprint = undefined;
          log.debug({ err: error, container: id }, 'a container could not be inspected; trying again');
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(inspectsAtOnce, those.length) }, work));
    if (unreachable !== undefined) throw unreachable;
  };
  const takeNetworks = (listed: readonly PodmanNetwork[]) => {
    if (rows.setNamespaces(networkNamespaces(namespaces, listed, namespaceLabel)))
      for (const { facts } of known.values()) rows.place(facts);
    const now = listed.flatMap(network => network.subnets.map(({ subnet }) => subnet)).sort();
    if (now.join() !== subnets) onNetworks(now);
    subnets = now.join();
  };

  return {
    rows: () => (isWhole ? rows.rows : undefined),
    aliases: () => rows.aliases,
    facts: id => known.get(id)?.facts,
    has: id => known.has(id) || unread.has(id),
    isUnread: id => unread.has(id),
    async lookAtAll(signal) {
      // A container inspected while the list is made may be newer than the list.
      const before = [...known.keys(), ...unread];
      const [listed, listedNetworks] = await Promise.all([lifecycle.list(signal), networks.list(signal)]);
      takeNetworks(listedNetworks);
      const ids = new Set(listed.map(({ id }) => id));
      for (const id of before) if (!ids.has(id)) forget(id);
      const changed = listed.filter(({ id, fingerprint }) => known.get(id)?.fingerprint !== fingerprint);
      await inspectAll(
        changed.map(({ id, fingerprint }) => [id, fingerprint] as const),
        signal,
      );
      isWhole = true;
      tell?.whole();
    },
    // Without a fingerprint, because an event may precede the change that it reports: the next list inspects once more.
    // A health check that changes the health also changes the list, and most checks change nothing.
    lookAt: (heard, signal) =>
      inspectAll(
        Array.from(heard, ([id, about]) => [id, about === 'health' ? known.get(id)?.fingerprint : undefined]),
        signal,
      ),
  };
}

/** Returns Podman's facts of a container; undefined when Podman does not know it. @throws VerbError */
async function factsOf(
  lifecycle: PodmanLifecycle,
  id: string,
  signal: AbortSignal,
): Promise<ContainerFacts | undefined> {
  try {
    return await lifecycle.facts(id, signal);
  } catch (error) {
    if (error instanceof VerbError && error.code === 404) return undefined;
    throw error;
  }
}

/**
 * Orders concurrent inspections of one container: the answer of the inspection that began last counts, whichever ends
 * first.
 */
class InspectionOrder {
  #begun = 0;
  #underWay = 0;
  /** By container, the number of the latest-started inspection that has ended. Kept while any is in progress. */
  readonly #ended = new Map<string, number>();

  /** @param take called with the answer, unless a later inspection of the container has ended already */
  async run<T>(id: string, inspect: () => Promise<T>, take: (answer: T) => void): Promise<void> {
    this.#begun += 1;
    const mine = this.#begun;
    this.#underWay += 1;
    try {
      const answer = await inspect();
      if ((this.#ended.get(id) ?? 0) > mine) return;
      this.#ended.set(id, mine);
      take(answer);
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#ended.clear();
    }
  }
}

/**
 * The rows and aliases of containers on managed networks. Warns once per container that has no valid name or is on
 * several networks.
 */
class ContainerRows {
  readonly #options: HostContainersOptions;
  readonly rows = new Map<string, Endpoint>();
  readonly aliases = new Map<string, ContainerAliases>();
  /** The warnings that were logged, as "id what". */
  readonly #said = new Set<string>();
  #byNetwork: NetworkNamespaces;

  constructor(options: HostContainersOptions) {
    this.#options = options;
    this.#byNetwork = networkNamespaces(options.namespaces, [], options.namespaceLabel);
  }

  /** @returns whether the namespaces have changed, so that every container must be placed again */
  setNamespaces(byNetwork: NetworkNamespaces): boolean {
    if (JSON.stringify([...byNetwork]) === JSON.stringify([...this.#byNetwork])) return false;
    this.#byNetwork = byNetwork;
    return true;
  }

  place(facts: ContainerFacts): void {
    const { id } = facts;
    const found = containerEndpoint(facts, this.#byNetwork, this.#options.hostMgmtIp);
    if (found === undefined) {
      this.rows.delete(id);
      this.aliases.delete(id);
      return;
    }
    const { row, others, aliases } = found;
    this.rows.set(id, row);
    if (aliases.length === 0) this.aliases.delete(id);
    else this.aliases.set(id, { namespace: row.namespace, names: aliases });
    const details = { container: facts.name, namespace: row.namespace };
    if (others.length > 0)
      this.#sayOnce(
        id,
        `networks ${others}`,
        'a container is on several managed networks; it is found in the first only',
        { ...details, others },
      );
    if (!isDnsLabel(row.name))
      this.#sayOnce(
        id,
        `name ${row.name}`,
        'the name of a container is not a DNS label, so it has no DNS name',
        details,
      );
  }

  forget(id: string): void {
    this.rows.delete(id);
    this.aliases.delete(id);
    for (const key of this.#said) if (key.startsWith(`${id} `)) this.#said.delete(key);
  }

  #sayOnce(id: string, what: string, line: string, details: object): void {
    const key = `${id} ${what}`;
    if (this.#said.has(key)) return;
    this.#said.add(key);
    this.#options.log.warn(details, line);
  }
}
