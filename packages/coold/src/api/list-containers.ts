import type { ContainersListRequest } from '@coold/proto';
import type { ContainerFacts } from '../podman/lifecycle.ts';
import type { ListedContainer } from '../podman/listed-containers.ts';
import { checkName, checkNamespace, invalid } from './names.ts';

// Which containers a list shows (docs/contract.md §3). Pure.

/** A container with what Podman's list alone does not say. */
export interface PlacedContainer extends ListedContainer {
  /** Empty where it is on no network of a namespace. */
  namespace: string;
  /** By network, of networks where it has one. */
  addresses: Record<string, string>;
}

const maxLimit = 1000;
/** Of a page, in bytes of its texts: an answer has to stay within the 4 MiB of a frame. */
const maxPageBytes = 3 * 1024 * 1024;

/** @throws VerbError 400 naming the field */
export function readFilter(
  request: ContainersListRequest,
): (container: ListedContainer & { namespace: string }) => boolean {
  const { name, state, namespace, limit, after } = request;
  if (name !== '') checkName(name, 'name');
  if (namespace !== '') checkNamespace(namespace, 'namespace');
  if (after !== '') checkName(after, 'after');
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

/** A page of what is left, in order. */
export function cutPage<T extends ListedContainer>(
  containers: readonly T[],
  limit: number | undefined,
): readonly T[] {
  if (limit === undefined) return containers;
  let bytes = 0;
  const end = containers.findIndex((container, index) => {
    bytes += sizeOf(container);
    // One at least, or a reader would take the page for the last.
    return index > 0 && (index >= limit || bytes > maxPageBytes);
  });
  return end < 0 ? containers : containers.slice(0, end);
}

/** Of its texts, with room for what frames them. */
function sizeOf({ id, name, image, imageId, labels, networks, ports }: ListedContainer): number {
  const texts = [id, name, image, imageId, ...networks, ...Object.entries(labels).flat()];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 16, 256 + ports.length * 64);
}

/** Where a container belongs, and its addresses. */
export function placeContainer(
  container: ListedContainer,
  facts: ContainerFacts | undefined,
  namespace: string,
): PlacedContainer {
  const addresses = [...(facts?.networks ?? [])].filter(([, address]) => address !== '');
  return { ...container, namespace, addresses: Object.fromEntries(addresses) };
}
