import { CorrosionError } from '@coold/corrosion';
import {
  ServicesEndpointsRequestSchema,
  ServicesEndpointsResponseSchema,
  ServicesRegisterRequestSchema,
  ServicesRegisterResponseSchema,
  ServicesUnregisterRequestSchema,
  ServicesUnregisterResponseSchema,
} from '@coold/proto';
import { isDnsLabel } from '../discovery/endpoint.ts';
import type { Registrations } from '../discovery/registrations.ts';
import type { PodmanLifecycle } from '../podman/lifecycle.ts';
import { type Handler, handler } from './handler.ts';
import { checkName, checkNamespace, invalid } from './names.ts';
import { VerbError } from './verb-error.ts';

export interface ServicesOptions {
  registrations: Registrations;
  lifecycle: Pick<PodmanLifecycle, 'facts'>;
  hostMgmtIp: string;
  /** A container may have been registered before it was looked at. */
  touch(containerId: string): void;
}

/** The service verbs (docs/contract.md §3). They need Corrosion, unlike DNS: 503 while it does not answer. */
export function serviceHandlers(options: ServicesOptions): Record<string, Handler> {
  const { registrations, lifecycle, hostMgmtIp, touch } = options;
  return {
    'services.register': handler(
      ServicesRegisterRequestSchema,
      ServicesRegisterResponseSchema,
      async (request, signal) => {
        const asked = {
          serviceId: checkName(request.serviceId, 'service_id'),
          name: checkLabel(request.name, 'name'),
          namespace: checkNamespace(request.namespace, 'namespace'),
          port: checkPort(request.port, 'port'),
        };
        const named = checkName(request.containerId, 'container_id');
        const { id: containerId } = await lifecycle.facts(named, signal);
        const registration = { ...asked, containerId, hostMgmtIp };
        await told(registrations.register(registration, signal));
        touch(containerId);
        return { registration };
      },
    ),
    'services.unregister': handler(
      ServicesUnregisterRequestSchema,
      ServicesUnregisterResponseSchema,
      async (request, signal) => {
        const serviceId = checkName(request.id, 'id');
        const named = checkName(request.containerId, 'container_id');
        // It may be gone already, or Podman be down; what was registered has the whole id.
        const whole = await lifecycle.facts(named, signal).then(
          ({ id }) => [id],
          () => [],
        );
        await told(registrations.unregister(serviceId, [...new Set([named, ...whole])], signal));
        return {};
      },
    ),
    'services.endpoints': handler(
      ServicesEndpointsRequestSchema,
      ServicesEndpointsResponseSchema,
      async (request, signal) => ({
        endpoints: await told(registrations.endpoints(checkName(request.id, 'id'), signal)),
      }),
    ),
  };
}

function checkLabel(value: string, field: string): string {
  if (!isDnsLabel(value))
    throw invalid(field, 'expected a DNS label: 1 to 63 of letters, digits, "-" and "_"');
  return value;
}

function checkPort(value: number, field: string): number {
  if (value > 65_535) throw invalid(field, 'expected a port, at most 65535');
  return value;
}

/** Corrosion's failures as callers see them: 503 when it could not be asked, 502 when it answered with no success. */
async function told<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof CorrosionError)) throw error;
    throw new VerbError(error.fault === 'unreachable' ? 503 : 502, error.message, { cause: error });
  }
}
