import { type PodmanConnection, segment } from './connection.ts';
import { object, seconds, text, texts } from './shape.ts';

export interface Volume {
  name: string;
  driver: string;
  mountpoint: string;
  labels: Record<string, string>;
  /** Unix time in seconds. */
  createdAt: bigint;
}

export interface PodmanVolumes {
  create(
    spec: { name: string; driver: string; labels: Record<string, string> },
    signal: AbortSignal,
  ): Promise<Volume>;
  inspect(name: string, signal: AbortSignal): Promise<Volume>;
  /** Removes the volume with exactly this name. @throws VerbError 404 when it does not exist */
  remove(name: string, signal: AbortSignal): Promise<void>;
}

const removeTimeoutMs = 5 * 60_000;

export function podmanVolumes(connection: PodmanConnection): PodmanVolumes {
  const inspect = async (name: string, signal: AbortSignal) =>
    readVolume(await connection.libpod({ path: `/volumes/${segment(name)}/json` }, signal));
  return {
    async create({ name, driver, labels }, signal) {
      const json = { Name: name, Driver: driver, Labels: labels };
      const call = { method: 'POST', path: '/volumes/create', json, success: [201] } as const;
      return readVolume(await connection.libpod(call, signal));
    },
    inspect,
    async remove(name, signal) {
      // When removing, Podman accepts the beginning of a name, and another volume's data would be lost.
      await inspect(name, signal);
      const path = `/volumes/${segment(name)}`;
      await connection.libpod({ method: 'DELETE', path, success: [204], timeoutMs: removeTimeoutMs }, signal);
    },
  };
}

/** @throws VerbError 502 */
export function readVolume(answer: unknown): Volume {
  const volume = object(answer, 'volume');
  return {
    name: text(volume['Name'], 'volume.Name'),
    driver: text(volume['Driver'], 'volume.Driver'),
    mountpoint: text(volume['Mountpoint'], 'volume.Mountpoint'),
    labels: texts(volume['Labels'], 'volume.Labels'),
    createdAt: seconds(volume['CreatedAt'], 'volume.CreatedAt'),
  };
}
