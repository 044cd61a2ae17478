import type { ContainerFacts } from './lifecycle.ts';
import { isNetwork } from './network-modes.ts';
import { list, number, object, seconds, text, texts } from './shape.ts';

/** A published port, in the form of a create request. */
export interface PublishedPort {
  /** Empty for every address of the host. */
  hostIp: string;
  hostPort: number;
  containerPort: number;
  protocol: string;
}

/** A container as libpod lists it: everything except its addresses. */
export interface ListedContainer {
  id: string;
  name: string;
  image: string;
  imageId: string;
  /** The state in lower case, as Podman reports it. */
  state: string;
  /** "unknown" without a healthcheck. */
  health: string;
  /** Unix time in seconds. */
  created: bigint;
  labels: Record<string, string>;
  networks: string[];
  ports: PublishedPort[];
}

/** Reads libpod's `GET /containers/json`, by name. @throws VerbError 502 naming the unexpected field */
export function readListedContainers(answer: unknown): ListedContainer[] {
  return list(answer, 'containers')
    .map((entry, index) => readContainer(object(entry, `containers[${index}]`), `containers[${index}]`))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readContainer(container: Record<string, unknown>, at: string): ListedContainer {
  const health = text(container['Status'] ?? '', `${at}.Status`).toLowerCase();
  return {
    id: text(container['Id'], `${at}.Id`),
    name: text(list(container['Names'], `${at}.Names`)[0], `${at}.Names[0]`),
    image: text(container['Image'], `${at}.Image`),
    imageId: text(container['ImageID'] ?? '', `${at}.ImageID`),
    state: text(container['State'], `${at}.State`).toLowerCase(),
    health: health === '' ? 'unknown' : health,
    created: seconds(container['Created'], `${at}.Created`),
    labels: texts(container['Labels'], `${at}.Labels`),
    networks: list(container['Networks'] ?? [], `${at}.Networks`)
      .map((name, index) => text(name, `${at}.Networks[${index}]`))
      .filter(isNetwork)
      .sort(),
    ports: list(container['Ports'] ?? [], `${at}.Ports`).flatMap((port, index) =>
      readPorts(object(port, `${at}.Ports[${index}]`), `${at}.Ports[${index}]`),
    ),
  };
}

/** The number of ports of a host. */
const maxRange = 65_536;

/** Podman joins neighbouring ports to a range. */
function readPorts(port: Record<string, unknown>, at: string): PublishedPort[] {
  const range = Math.min(Math.max(1, number(port['range'] ?? 1, `${at}.range`)), maxRange);
  const hostPort = number(port['host_port'], `${at}.host_port`);
  const containerPort = number(port['container_port'], `${at}.container_port`);
  const same = {
    hostIp: text(port['host_ip'] ?? '', `${at}.host_ip`),
    protocol: text(port['protocol'] ?? 'tcp', `${at}.protocol`),
  };
  return Array.from({ length: range }, (_, offset) => ({
    ...same,
    hostPort: hostPort + offset,
    containerPort: containerPort + offset,
  }));
}

/** Whether the known addresses of a container belong to the state in which it is listed. */
export function isCurrent(facts: ContainerFacts, { state, networks }: ListedContainer): boolean {
  return (
    facts.state === state &&
    networks.length === facts.networks.size &&
    networks.every(name => facts.networks.has(name)) &&
    (state !== 'running' || [...facts.networks.values()].every(address => address !== ''))
  );
}
