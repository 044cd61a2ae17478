import {
  VolumesCreateRequestSchema,
  VolumesCreateResponseSchema,
  VolumesDeleteRequestSchema,
  VolumesDeleteResponseSchema,
  VolumesInspectRequestSchema,
  VolumesInspectResponseSchema,
} from '@coold/proto';
import type { PodmanVolumes } from '../podman/volumes.ts';
import { type Handler, handler } from './handler.ts';
import type { Joined } from './joined.ts';
import { checkLabels, checkName } from './names.ts';
import { VerbError } from './verb-error.ts';

/** The volume verbs. No driver options: those of "local" mount whatever path of the host they name. */
export function volumeHandlers(volumes: PodmanVolumes, joined: Joined): Record<string, Handler> {
  return {
    'volumes.create': handler(
      VolumesCreateRequestSchema,
      VolumesCreateResponseSchema,
      async (request, signal) => {
        const spec = {
          name: checkName(request.name, 'name'),
          driver: request.driver === '' ? 'local' : checkName(request.driver, 'driver'),
          labels: checkLabels(request.labels, 'labels'),
        };
        const existing = await orMissing(volumes.inspect(spec.name, signal));
        if (existing !== undefined) return { volume: existing };
        try {
          return { volume: await volumes.create(spec, signal) };
        } catch (error) {
          // Another call may have made it since it was looked for; Podman 4.3 says so with a 500.
          const made = await orMissing(volumes.inspect(spec.name, signal));
          if (made === undefined) throw error;
          return { volume: made };
        }
      },
    ),
    'volumes.delete': handler(
      VolumesDeleteRequestSchema,
      VolumesDeleteResponseSchema,
      async (request, signal) => {
        const name = checkName(request.name, 'name');
        await joined.run(`volumes.delete ${name}`, signal, unattended => volumes.remove(name, unattended));
        return {};
      },
    ),
    'volumes.inspect': handler(
      VolumesInspectRequestSchema,
      VolumesInspectResponseSchema,
      async (request, signal) => ({ volume: await volumes.inspect(checkName(request.name, 'name'), signal) }),
    ),
  };
}

async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof VerbError && error.code === 404) return undefined;
    throw error;
  }
}
