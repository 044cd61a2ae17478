import { networksOf } from './network-modes.ts';
import { list, object, text, texts } from './shape.ts';

/** A container with its network addresses. */
export interface AddressHolder {
  labels: Record<string, string>;
  /** The networks with the current address on each. Empty while the container does not run. */
  networks: ReadonlyMap<string, string>;
}

/** Reads the Docker-compatible `GET /containers/json`. @throws VerbError 502 naming the unexpected field */
export function readAddressHolders(answer: unknown): AddressHolder[] {
  return list(answer, 'containers').map((entry, index) => {
    const at = `containers[${index}]`;
    const container = object(entry, at);
    const settings = object(container['NetworkSettings'] ?? {}, `${at}.NetworkSettings`);
    const where = `${at}.NetworkSettings.Networks`;
    const networks = networksOf(settings['Networks'], where).map(([name, network]) => {
      const address = object(network, `${where}.${name}`)['IPAddress'] ?? '';
      return [name, text(address, `${where}.${name}.IPAddress`)] as const;
    });
    return { labels: texts(container['Labels'], `${at}.Labels`), networks: new Map(networks) };
  });
}
