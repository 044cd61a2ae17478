import { type PodmanConnection, segment } from './connection.ts';
import { exactContainer } from './exact-names.ts';
import { networksOf } from './network-modes.ts';
import { pinnedAddress } from './pinned-address.ts';
import { list, object, text, texts } from './shape.ts';

/** What discovery needs to know of a container. */
export interface ContainerFacts {
  id: string;
  name: string;
  /** The state in lower case, as Podman reports it. */
  state: string;
  /** The health in lower case, "unknown" without a healthcheck (docs/contract.md §5). */
  health: string;
  /** The networks with the IPv4 address on each, or the address that it will have when it runs. Empty without an address. */
  networks: Map<string, string>;
  /** The aliases on each network that has some, by name of the network. */
  aliases: Map<string, string[]>;
  /** The latest run, which may be in progress. */
  run?: { startedAt: string; exitCode: number };
}

/** A container in the list. */
export interface Listed {
  id: string;
  /** A text that changes whenever the container's facts may have changed. */
  fingerprint: string;
}

/** The subject of an event: a health check, which is frequent and seldom changes anything, or another change. */
export type EventSubject = 'health' | 'change';

/** Notices containers that are created, changed or removed. */
export interface PodmanLifecycle {
  /** Lists all containers in one request, with enough to see which have changed. */
  list(signal: AbortSignal): Promise<Listed[]>;
  /** Returns the facts of one container. @throws VerbError 404 when Podman does not know it */
  facts(id: string, signal: AbortSignal): Promise<ContainerFacts>;
  /**
   * Calls `onContainer` for every event that may have changed a container's facts. Resolves when Podman ends the stream, for
   * example when it stops.
   */
  events(onContainer: (id: string, about: EventSubject) => void, signal: AbortSignal): Promise<void>;
}

/** How long events are followed before the stream is opened again, in ms, in case it stopped delivering. */
const eventsForMs = 24 * 3_600_000;

export function podmanLifecycle(connection: PodmanConnection): PodmanLifecycle {
  const exact = exactContainer(connection);
  return {
    list: async signal =>
      readListed(await connection.libpod({ path: '/containers/json', query: { all: true } }, signal)),
    async facts(id, signal) {
      const path = `/containers/${segment(await exact(id, signal))}/json`;
      return readFacts(await connection.libpod({ path }, signal));
    },
    async events(onContainer, signal) {
      const filters = JSON.stringify({ type: ['container', 'network'] });
      const call = { path: '/events', query: { stream: true, filters }, timeoutMs: eventsForMs };
      await connection.libpodLines(
        call,
        line => {
          const event = readEvent(JSON.parse(line));
          if (event !== undefined) onContainer(event.id, event.about);
        },
        signal,
      );
    },
  };
}

/** Reads libpod's `GET /containers/json`. @throws VerbError 502 */
export function readListed(answer: unknown): Listed[] {
  return list(answer, 'containers').map((entry, index) => {
    const at = `containers[${index}]`;
    const container = object(entry, at);
    const { Names, Networks, State, Status, StartedAt, Pid } = container;
    return {
      id: text(container['Id'], `${at}.Id`),
      // A restart may change the address. The order of networks changes, too.
      fingerprint: JSON.stringify([
        Names,
        Array.isArray(Networks) ? Networks.toSorted() : Networks,
        State,
        Status,
        StartedAt,
        Pid,
      ]),
    };
  });
}

const shortIdLength = 12;

/** Reads libpod's `GET /containers/{id}/json`. @throws VerbError 502 */
export function readFacts(answer: unknown): ContainerFacts {
  const container = object(answer, 'container');
  const state = object(container['State'], 'container.State');
  // Podman 4.3 calls the field Health, other versions Healthcheck.
  const health = object(state['Health'] ?? state['Healthcheck'] ?? {}, 'container.State.Health');
  const settings = object(container['NetworkSettings'] ?? {}, 'container.NetworkSettings');
  const at = 'container.NetworkSettings.Networks';
  const config = object(container['Config'] ?? {}, 'container.Config');
  const labels = texts(config['Labels'], 'container.Config.Labels');
  const id = text(container['Id'], 'container.Id');
  const connected = networksOf(settings['Networks'], at);
  // Podman adds the short id as an alias for its own DNS.
  const aliases = connected.flatMap(([name, network]) => {
    const given = list(object(network, `${at}.${name}`)['Aliases'] ?? [], `${at}.${name}.Aliases`)
      .map((alias, index) => text(alias, `${at}.${name}.Aliases[${index}]`))
      .filter(alias => alias !== id.slice(0, shortIdLength));
    return given.length === 0 ? [] : [[name, given] as const];
  });
  const startedAt = text(state['StartedAt'] ?? '', 'container.State.StartedAt');
  const networks = connected.map(([name, network]) => {
    const address = text(object(network, `${at}.${name}`)['IPAddress'] ?? '', `${at}.${name}.IPAddress`);
    return [name, address === '' ? (pinnedAddress(labels, name) ?? '') : address] as const;
  });
  return {
    id,
    name: text(container['Name'], 'container.Name').replace(/^\//, ''),
    state: text(state['Status'], 'container.State.Status').toLowerCase(),
    health: text(health['Status'] ?? '', 'container.State.Health.Status').toLowerCase() || 'unknown',
    networks: new Map(networks),
    aliases: new Map(aliases),
    run: {
      startedAt: startedAt.startsWith('0001-') ? '' : startedAt,
      exitCode: typeof state['ExitCode'] === 'number' ? Math.trunc(state['ExitCode']) : 0,
    },
  };
}

/** Frequent events that change nothing for discovery. */
const idle = new Set([
  'exec',
  'exec_died',
  'export',
  'attach',
  'mount',
  'unmount',
  'sync',
  'commit',
  'checkpoint',
]);

/** Reads the container and the kind of an event. @throws VerbError 502 */
export function readEvent(answer: unknown): { id: string; about: EventSubject } | undefined {
  const event = object(answer, 'event');
  const type = text(event['Type'] ?? '', 'event.Type');
  const action = text(event['Action'] ?? '', 'event.Action');
  if ((type !== 'container' && type !== 'network') || idle.has(action)) return undefined;
  const id = text(object(event['Actor'] ?? {}, 'event.Actor')['ID'] ?? '', 'event.Actor.ID');
  return id === '' ? undefined : { id, about: action === 'health_status' ? 'health' : 'change' };
}
