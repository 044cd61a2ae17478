import { VerbError } from '../api/verb-error.ts';

/** One container as Podman's compatible list tells it, in our terms. */
export interface ListedContainer {
  id: string;
  name: string;
  image: string;
  state: string;
  networks: string[];
}

/** Reads the compatible `GET /containers/json`. @throws VerbError 502 naming what is not as expected */
export function readContainerList(answer: unknown): ListedContainer[] {
  if (!Array.isArray(answer)) throw unexpected('the list');
  return answer.map((entry: unknown, index) => {
    const at = `[${index}]`;
    const container = object(entry, at);
    const names = container['Names'];
    const name: unknown = Array.isArray(names) ? names[0] : undefined;
    const networkSettings = object(container['NetworkSettings'] ?? {}, `${at}.NetworkSettings`);
    return {
      id: text(container['Id'], `${at}.Id`),
      name: text(name, `${at}.Names[0]`).replace(/^\//, ''),
      image: text(container['Image'], `${at}.Image`),
      state: text(container['State'], `${at}.State`).toLowerCase(),
      networks: Object.keys(
        object(networkSettings['Networks'] ?? {}, `${at}.NetworkSettings.Networks`),
      ).sort(),
    };
  });
}

function text(value: unknown, at: string): string {
  if (typeof value !== 'string') throw unexpected(at);
  return value;
}

function object(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unexpected(at);
  return value as Record<string, unknown>;
}

function unexpected(at: string): VerbError {
  return new VerbError(502, `podman's answer is not understood: containers${at} is not as expected`);
}
