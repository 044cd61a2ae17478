import { VerbError } from '@coold/errors';
import {
  VolumesCreateRequestSchema,
  VolumesCreateResponseSchema,
  VolumesDeleteRequestSchema,
  VolumesDeleteResponseSchema,
  VolumesInspectRequestSchema,
  VolumesInspectResponseSchema,
} from '@coold/proto';
import { type Handler, handler } from '../handler.ts';
import type { PodmanVolumes } from '../podman/volumes.ts';
import type { Coalescer } from './coalesce.ts';
import { checkLabels, checkName, invalid } from './names.ts';

/** The volume verbs. Driver options are refused, because those of "local" mount any path of the host. */
export function volumeHandlers(volumes: PodmanVolumes, coalescer: Coalescer): Record<string, Handler> {
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
          // Another call may have created it since the check; Podman 4.3 reports that with a 500.
          const made = await orMissing(volumes.inspect(spec.name, signal));
          if (made === undefined) throw namingDriver(error);
          return { volume: made };
        }
      },
    ),
    'volumes.delete': handler(
      VolumesDeleteRequestSchema,
      VolumesDeleteResponseSchema,
      async (request, signal) => {
        const name = checkName(request.name, 'name');
        await coalescer.run(`volumes.delete ${name}`, signal, unattended => volumes.remove(name, unattended));
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

/** Podman can only refuse the driver, because everything else in the request was validated before. */
function namingDriver(error: unknown): unknown {
  if (!(error instanceof VerbError) || error.reason !== 'invalid_request') return error;
  return invalid('driver', `expected "local", or a volume plugin of the host: ${error.message}`);
}

async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof VerbError && error.code === 404) return undefined;
    throw error;
  }
}
