import type { Logger } from '@coold/runtime';
import { VerbError } from '../api/verb-error.ts';
import type { ContainerFacts, EventSubject, PodmanLifecycle } from '../podman/lifecycle.ts';
import type { PodmanNetworks } from '../podman/networks.ts';
import { containerEndpoint, type NetworkNamespaces, networkNamespaces } from './container-endpoint.ts';
import { type Endpoint, isDnsLabel } from './endpoint.ts';
import type { Namespace } from './namespaces.ts';

export interface HostContainersOptions {
  lifecycle: PodmanLifecycle;
  networks: Pick<PodmanNetworks, 'list'>;
  namespaces: readonly Namespace[];
  /** The label of a network that names its namespace. */
  namespaceLabel: string;
  hostMgmtIp: string;
  log: Logger;
}

/** This host's containers, as Podman said last. */
export interface HostContainers {
  /** Those on managed networks, as rows; undefined until all were looked at once. */
  rows(): ReadonlyMap<string, Endpoint> | undefined;
  /** A container as it was looked at last, on whatever networks; undefined where it was not. */
  facts(id: string): ContainerFacts | undefined;
  /** Whether Podman has it, as far as is known. */
  has(id: string): boolean;
  /** Whether it is there and nothing is known of it, because Podman could not say: its row is left as it is. */
  isUnread(id: string): boolean;
  /** Lists all, and looks closer at what is new or has changed. @throws VerbError when Podman does not answer */
  lookAtAll(signal: AbortSignal): Promise<void>;
  /**
   * Looks at these, each for what was heard of it; what Podman does not know is gone.
   *
   * @throws VerbError when Podman does not answer
   */
  lookAt(heard: Iterable<readonly [id: string, about: EventSubject]>, signal: AbortSignal): Promise<void>;
}

/** Podman serves one after the other in the main; a few keep it busy. */
const inspectsAtOnce = 8;

interface Known {
  facts: ContainerFacts;
  /** As it was listed when its facts were read; undefined: they are to be read again. */
  fingerprint: string | undefined;
}

export function createHostContainers(options: HostContainersOptions): HostContainers {
  const { lifecycle, networks, namespaces, namespaceLabel, hostMgmtIp, log } = options;
  const known = new Map<string, Known>();
  const rows = new Map<string, Endpoint>();
  const unread = new Set<string>();
  /** What was said of a container, so that it is said once. */
  const said = new Set<string>();
  let byNetwork: NetworkNamespaces = networkNamespaces(namespaces, [], namespaceLabel);
  let isWhole = false;

  const sayOnce = (id: string, what: string, line: string, details: object) => {
    if (said.has(`${id} ${what}`)) return;
    said.add(`${id} ${what}`);
    log.warn(details, line);
  };
  const place = (facts: ContainerFacts) => {
    const found = containerEndpoint(facts, byNetwork, hostMgmtIp);
    if (found === undefined) {
      rows.delete(facts.id);
      return;
    }
    const { row, others } = found;
    rows.set(facts.id, row);
    const container = facts.name;
    if (others.length > 0)
      sayOnce(
        facts.id,
        `networks ${others}`,
        'a container is on several managed networks; it is found in the first only',
        { container, namespace: row.namespace, others },
      );
    if (!isDnsLabel(row.name))
      sayOnce(facts.id, `name ${row.name}`, 'the name of a container is no DNS label; it has no DNS name', {
        container,
        namespace: row.namespace,
      });
  };
  const forget = (id: string) => {
    known.delete(id);
    rows.delete(id);
    unread.delete(id);
    for (const key of said) if (key.startsWith(`${id} `)) said.delete(key);
  };
  const inspect = async (id: string, fingerprint: string | undefined, signal: AbortSignal) => {
    try {
      const facts = await lifecycle.facts(id, signal);
      known.set(facts.id, { facts, fingerprint });
      unread.delete(facts.id);
      place(facts);
    } catch (error) {
      if (!(error instanceof VerbError) || error.code !== 404) throw error;
      forget(id);
    }
  };
  /** All of them, even when one of them fails; not when Podman cannot be asked. */
  const inspectAll = async (
    those: readonly (readonly [id: string, fingerprint: string | undefined])[],
    signal: AbortSignal,
  ) => {
    const queue = those.values();
    let unreachable: unknown;
    const work = async () => {
      for (const [id, fingerprint] of queue) {
        if (unreachable !== undefined) return;
        try {
          await inspect(id, fingerprint, signal);
        } catch (error) {
          if (error instanceof VerbError && error.code === 503) unreachable = error;
          const before = known.get(id);
          if (before === undefined) unread.add(id);
          else before.fingerprint = undefined;
          log.debug({ err: error, container: id }, 'a container could not be looked at; trying again');
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(inspectsAtOnce, those.length) }, work));
    if (unreachable !== undefined) throw unreachable;
  };

  return {
    rows: () => (isWhole ? rows : undefined),
    facts: id => known.get(id)?.facts,
    has: id => known.has(id) || unread.has(id),
    isUnread: id => unread.has(id),
    async lookAtAll(signal) {
      const [listed, listedNetworks] = await Promise.all([lifecycle.list(signal), networks.list(signal)]);
      const now = networkNamespaces(namespaces, listedNetworks, namespaceLabel);
      if (JSON.stringify([...now]) !== JSON.stringify([...byNetwork])) {
        byNetwork = now;
        for (const { facts } of known.values()) place(facts);
      }
      const ids = new Set(listed.map(({ id }) => id));
      for (const id of [...known.keys(), ...unread]) if (!ids.has(id)) forget(id);
      const changed = listed.filter(({ id, fingerprint }) => known.get(id)?.fingerprint !== fingerprint);
      await inspectAll(
        changed.map(({ id, fingerprint }) => [id, fingerprint] as const),
        signal,
      );
      isWhole = true;
    },
    // Without a fingerprint: an event may come before what it tells of is done, so the next list looks once more. A check
    // that changes the health changes the list too, and most of them change nothing.
    lookAt: (heard, signal) =>
      inspectAll(
        Array.from(heard, ([id, about]) => [id, about === 'health' ? known.get(id)?.fingerprint : undefined]),
        signal,
      ),
  };
}
