import { VerbError } from '../api/verb-error.ts';
import { type PodmanConnection, segment } from './connection.ts';
import { object, text } from './shape.ts';

// Podman takes the beginning of an id for the id, of a volume's name for the name, where nothing is called just so: who
// removes "db" or "app" once more would remove what happens to begin with it.

/** Shorter is no id that Podman prints. */
const shortestId = 12;

/** Resolves with what Podman finds that container by, and no other. @throws VerbError 404 */
export type ExactContainer = (named: string, signal: AbortSignal) => Promise<string>;

/** A container's whole id, twelve digits of it at least, or its name. Asks Podman only where the text could be either. */
export function exactContainer(connection: PodmanConnection): ExactContainer {
  return async (named, signal) => {
    if (named.length >= shortestId || !mayBeginId(named)) return named;
    const path = `/containers/${segment(named)}/json`;
    const found = object(await connection.libpod({ path }, signal), 'container');
    if (text(found['Name'], 'container.Name') !== named) throw noneNamed('container', named);
    return text(found['Id'], 'container.Id');
  };
}

/** Whether Podman may take a name for an id, or the beginning of one. */
export function mayBeginId(name: string): boolean {
  return /^[0-9a-f]+$/.test(name);
}

export function noneNamed(what: string, name: string): VerbError {
  return new VerbError(404, `no ${what} is named ${name}`);
}
