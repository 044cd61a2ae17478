import { type PodmanConnection, segment } from './connection.ts';
import { exactContainer } from './exact-names.ts';
import { networksOf } from './network-modes.ts';
import { pinnedAddress } from './pinned-address.ts';
import { list, object, text, texts } from './shape.ts';

/** What discovery has to know of a container. */
export interface ContainerFacts {
  id: string;
  name: string;
  /** Lower-case, as Podman says. */
  state: string;
  /** Lower-case; "unknown" without a healthcheck (docs/contract.md §5). */
  health: string;
  /** Its networks, each with its IPv4 address there, or the one it will have once it runs; empty while it has none. */
  networks: Map<string, string>;
}

/** A container of the list. */
export interface Listed {
  id: string;
  /** Another text whenever its facts may be others. */
  fingerprint: string;
}

/** What an event tells of: a health check, which comes again and again and seldom changes anything, or something else. */
export type EventSubject = 'health' | 'change';

/** How containers come, change and go. */
export interface PodmanLifecycle {
  /** Every container: one request, which says what has changed and not everything about it. */
  list(signal: AbortSignal): Promise<Listed[]>;
  /** @throws VerbError 404 when there is none */
  facts(id: string, signal: AbortSignal): Promise<ContainerFacts>;
  /**
   * Calls back for every event that may have changed a container's facts. Resolves when Podman ends the stream, as it does
   * when it stops.
   */
  events(onContainer: (id: string, about: EventSubject) => void, signal: AbortSignal): Promise<void>;
}

/** So that a stream that went deaf does not stay so for good, ms. */
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
      // A restart may give it another address; Networks come in another order every time.
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

/** Reads libpod's `GET /containers/{id}/json`. @throws VerbError 502 */
export function readFacts(answer: unknown): ContainerFacts {
  const container = object(answer, 'container');
  const state = object(container['State'], 'container.State');
  // Podman 4.3 says Health; others say Healthcheck.
  const health = object(state['Health'] ?? state['Healthcheck'] ?? {}, 'container.State.Health');
  const settings = object(container['NetworkSettings'] ?? {}, 'container.NetworkSettings');
  const at = 'container.NetworkSettings.Networks';
  const config = object(container['Config'] ?? {}, 'container.Config');
  const labels = texts(config['Labels'], 'container.Config.Labels');
  const networks = networksOf(settings['Networks'], at).map(([name, network]) => {
    const address = text(object(network, `${at}.${name}`)['IPAddress'] ?? '', `${at}.${name}.IPAddress`);
    return [name, address === '' ? (pinnedAddress(labels, name) ?? '') : address] as const;
  });
  return {
    id: text(container['Id'], 'container.Id'),
    name: text(container['Name'], 'container.Name').replace(/^\//, ''),
    state: text(state['Status'], 'container.State.Status').toLowerCase(),
    health: text(health['Status'] ?? '', 'container.State.Health.Status').toLowerCase() || 'unknown',
    networks: new Map(networks),
  };
}

/** What happens often and changes nothing that discovery knows. */
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

/** The container of an event, and what it is about. @throws VerbError 502 */
export function readEvent(answer: unknown): { id: string; about: EventSubject } | undefined {
  const event = object(answer, 'event');
  const type = text(event['Type'] ?? '', 'event.Type');
  const action = text(event['Action'] ?? '', 'event.Action');
  if ((type !== 'container' && type !== 'network') || idle.has(action)) return undefined;
  const id = text(object(event['Actor'] ?? {}, 'event.Actor')['ID'] ?? '', 'event.Actor.ID');
  return id === '' ? undefined : { id, about: action === 'health_status' ? 'health' : 'change' };
}
