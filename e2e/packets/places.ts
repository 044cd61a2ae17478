/** Two hosts of the mesh, and a neighbour of theirs that is outside of it. */
export type HostName = 'a' | 'b' | 'n';

/** A container of the scene. */
export interface PlacedContainer {
  host: HostName;
  /** Podman networks, the first one's address being the container's own. */
  networks: readonly [string, ...string[]];
  /** Ports of the host that lead to it. */
  ports?: readonly { host_port: number; container_port: number; protocol: 'tcp' | 'udp' }[];
  /** Made by `podman run` alone, as an operator does who knows nothing of coold. */
  byHand?: true;
}

const mesh = (namespace: string) => `coolify-${namespace}-mesh`;
const inNamespace = (host: HostName, namespace: string): PlacedContainer => ({
  host,
  networks: [mesh(namespace)],
});

export const namespaces = ['default', 'alpha', 'beta'] as const;

/** The network that `networks.create` makes for a namespace, outside of the pool. */
export const appNetwork = { name: 'app', namespace: 'default', subnet: '192.168.60.0/24' };
/** A network that an operator makes by Podman alone. */
export const strangeNetwork = { name: 'strange', subnet: '192.168.61.0/24' };

/** Where every published port leads. */
export const publishedPort = 8088;
export const servedPort = 7000;
const published = (['tcp', 'udp'] as const).map(protocol => ({
  host_port: publishedPort,
  container_port: servedPort,
  protocol,
}));

export const containers = {
  'a/default': inNamespace('a', 'default'),
  'a/default2': inNamespace('a', 'default'),
  'a/alpha': inNamespace('a', 'alpha'),
  'a/beta': inNamespace('a', 'beta'),
  'b/default': inNamespace('b', 'default'),
  'b/alpha': inNamespace('b', 'alpha'),
  'b/beta': inNamespace('b', 'beta'),
  /** Ends of rules that name no port or no protocol, which would open the ways of others. */
  'a/wide': inNamespace('a', 'alpha'),
  'a/wide2': inNamespace('a', 'alpha'),
  'b/wide': inNamespace('b', 'beta'),
  'a/published': { ...inNamespace('a', 'default'), ports: published },
  'b/published': { ...inNamespace('b', 'default'), ports: published },
  'a/two': { host: 'a', networks: [mesh('default'), mesh('alpha')] },
  'a/app': { host: 'a', networks: [appNetwork.name] },
  'a/app2': { host: 'a', networks: [appNetwork.name] },
  'a/plain': { host: 'a', networks: ['podman'], byHand: true },
  'b/plain': { host: 'b', networks: ['podman'], byHand: true },
  'a/strange': { host: 'a', networks: [strangeNetwork.name], byHand: true },
} as const satisfies Record<string, PlacedContainer>;

export type ContainerName = keyof typeof containers;
/** A container, or a host itself. */
export type Place = ContainerName | HostName;

export const hostNames: readonly HostName[] = ['a', 'b', 'n'];

/** The container at a place; undefined for a host itself. */
export function containerAt(place: Place): PlacedContainer | undefined {
  return isHost(place) ? undefined : containers[place];
}

export function isHost(place: Place): place is HostName {
  return hostNames.some(name => name === place);
}

export function hostOf(place: Place): HostName {
  return isHost(place) ? place : containers[place].host;
}

/** The containers of one host, by the name that Podman has for them. */
export function containersOn(
  host: HostName,
): { place: ContainerName; name: string; spec: PlacedContainer }[] {
  return (Object.keys(containers) as ContainerName[])
    .map(place => ({ place, name: place.slice(2), spec: containers[place] satisfies PlacedContainer }))
    .filter(({ spec }) => spec.host === host);
}
