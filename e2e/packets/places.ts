/** Two hosts of the mesh, and a neighbour outside it. */
export type HostName = 'a' | 'b' | 'n';

/** A container of the scene. */
export interface PlacedContainer {
  host: HostName;
  /** Podman networks. The container's own address is on the first. */
  networks: readonly [string, ...string[]];
  /** Published ports. */
  ports?: readonly { host_port: number; container_port: number; protocol: 'tcp' | 'udp' }[];
  /** Created with `podman run`, as by an operator who does not use coold. */
  byHand?: true;
}

const mesh = (namespace: string) => `coolify-${namespace}-mesh`;
const inNamespace = (host: HostName, namespace: string): PlacedContainer => ({
  host,
  networks: [mesh(namespace)],
});

export const namespaces = ['default', 'alpha', 'beta'] as const;

/** A network created by `networks.create` for a namespace, outside the pool. */
export const appNetwork = { name: 'app', namespace: 'default', subnet: '192.168.60.0/24' };
/** A network that an operator created with Podman. */
export const strangeNetwork = { name: 'strange', subnet: '192.168.61.0/24' };

/** The container port behind every published port. */
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
  /** Ends of rules without a port or protocol, which would open the paths of other rows. */
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

/** Returns the container at a place; undefined for a host itself. */
export function containerAt(place: Place): PlacedContainer | undefined {
  return isHost(place) ? undefined : containers[place];
}

export function isHost(place: Place): place is HostName {
  return hostNames.some(name => name === place);
}

export function hostOf(place: Place): HostName {
  return isHost(place) ? place : containers[place].host;
}

/** Returns the containers of a host, by their Podman names. */
export function containersOn(
  host: HostName,
): { place: ContainerName; name: string; spec: PlacedContainer }[] {
  return (Object.keys(containers) as ContainerName[])
    .map(place => ({ place, name: place.slice(2), spec: containers[place] satisfies PlacedContainer }))
    .filter(({ spec }) => spec.host === host);
}
