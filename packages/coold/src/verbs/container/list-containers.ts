import type { ContainersListRequest } from '@coold/proto';
import { maxAliases } from '../../discovery/containers/container-endpoint.ts';
import type { ContainerFacts } from '../../podman/lifecycle.ts';
import type { ListedContainer } from '../../podman/listed-containers.ts';
import { checkName, checkNamespace, invalid } from '../names.ts';

// Selects and pages the containers of a list (docs/contract.md §3). Pure.

/** A container with what Podman's list does not contain. */
export interface PlacedContainer extends ListedContainer {
  /** Empty when it is on no network of a namespace. */
  namespace: string;
  /** Addresses by network. */
  addresses: Record<string, string>;
  /** Its additional names on its networks. */
  aliases: string[];
}

const maxLimit = 1000;
/** The size of a page, in bytes of its texts: an answer has to stay within the 4 MiB of a frame. */
const maxPageBytes = 3 * 1024 * 1024;

/** @throws VerbError 400 naming the field */
export function readFilter(
  request: ContainersListRequest,
): (container: ListedContainer & { namespace: string }) => boolean {
  const { name, state, namespace, limit, after } = request;
  if (name !== '') checkName(name, 'name');
  if (namespace !== '') checkNamespace(namespace, 'namespace');
  // Podman's names may be longer than coold's, and a page may end with one.
  if (after !== '' && !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(after))
    throw invalid('after', 'expected the name of a container');
  if (state !== '' && !/^[a-z]{1,32}$/.test(state))
    throw invalid('state', 'expected a state such as running');
  if (limit !== undefined && (limit < 1 || limit > maxLimit))
    throw invalid('limit', `expected 1 to ${maxLimit}`);
  const labels = request.label.map((text, index) => {
    const [key = '', ...value] = text.split('=');
    if (key === '') throw invalid(`label[${index}]`, 'expected key or key=value');
    return { key, value: value.length === 0 ? undefined : value.join('=') };
  });
  return container =>
    (name === '' || container.name === name) &&
    (state === '' || container.state === state) &&
    (namespace === '' || container.namespace === namespace) &&
    (after === '' || container.name > after) &&
    labels.every(
      ({ key, value }) =>
        Object.hasOwn(container.labels, key) && (value === undefined || container.labels[key] === value),
    );
}

/** Returns the next page, in order. */
export function cutPage<T extends ListedContainer>(
  containers: readonly T[],
  limit: number | undefined,
): readonly T[] {
  if (limit === undefined) return containers;
  let bytes = 0;
  const end = containers.findIndex((container, index) => {
    bytes += sizeOf(container);
    // A page has at least one entry, or a reader would take it for the last.
    return index > 0 && (index >= limit || bytes > maxPageBytes);
  });
  return end < 0 ? containers : containers.slice(0, end);
}

/** The bytes of its texts, with room for their framing. */
function sizeOf({ id, name, image, imageId, labels, networks, ports }: ListedContainer): number {
  const texts = [id, name, image, imageId, ...networks, ...Object.entries(labels).flat()];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 16, 256 + ports.length * 64);
}

/** Returns a container's namespace and addresses. */
export function placeContainer(
  container: ListedContainer,
  facts: ContainerFacts | undefined,
  namespace: string,
): PlacedContainer {
  const addresses = [...(facts?.networks ?? [])].filter(([, address]) => address !== '');
  const aliases = [...new Set([...(facts?.aliases.values() ?? [])].flat())].sort().slice(0, maxAliases);
  return { ...container, namespace, addresses: Object.fromEntries(addresses), aliases };
}
