import { VerbError } from '@coold/errors';
import { type PodmanConnection, segment } from './connection.ts';
import { object, text } from './shape.ts';

// Podman accepts the beginning of an id, or of a volume's name, when nothing has exactly that name: removing "db" or
// "app" a second time would remove whatever happens to begin with it.

/** Podman prints no shorter id. */
const shortestId = 12;

/** Returns the text by which Podman finds exactly this container. @throws VerbError 404 */
export type ExactContainer = (named: string, signal: AbortSignal) => Promise<string>;

/**
 * Accepts a container's full id, at least its first twelve digits, or its name. Asks Podman only when the text could be
 * either.
 */
export function exactContainer(connection: PodmanConnection): ExactContainer {
  return async (named, signal) => {
    if (named.length >= shortestId || !mayBeginId(named)) return named;
    const path = `/containers/${segment(named)}/json`;
    const found = object(await connection.libpod({ path }, signal), 'container');
    if (text(found['Name'], 'container.Name') !== named) throw noneNamed('container', named);
    return text(found['Id'], 'container.Id');
  };
}

/** Whether Podman may take a name for an id, or for the beginning of one. */
export function mayBeginId(name: string): boolean {
  return /^[0-9a-f]+$/.test(name);
}

export function noneNamed(what: 'container' | 'image' | 'network' | 'volume', name: string): VerbError {
  return new VerbError(`${what}_not_found`, `no ${what} is named ${name}`);
}
