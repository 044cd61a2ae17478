import { networksOf } from './network-modes.ts';
import { list, object, text } from './shape.ts';

/** A container from Podman's Docker-compatible list. */
export interface NetworkedContainer {
  id: string;
  name: string;
  image: string;
  state: string;
  networks: string[];
}

/** Reads the Docker-compatible `GET /containers/json`. @throws VerbError 502 naming the unexpected field */
export function readContainerList(answer: unknown): NetworkedContainer[] {
  return list(answer, 'containers: the list').map((entry, index) => {
    const at = `containers[${index}]`;
    const container = object(entry, at);
    const names = container['Names'];
    const name: unknown = Array.isArray(names) ? names[0] : undefined;
    const networkSettings = object(container['NetworkSettings'] ?? {}, `${at}.NetworkSettings`);
    return {
      id: text(container['Id'], `${at}.Id`),
      name: text(name, `${at}.Names[0]`).replace(/^\//, ''),
      image: text(container['Image'], `${at}.Image`),
      state: text(container['State'], `${at}.State`).toLowerCase(),
      networks: networksOf(networkSettings['Networks'], `${at}.NetworkSettings.Networks`)
        .map(([network]) => network)
        .sort(),
    };
  });
}
