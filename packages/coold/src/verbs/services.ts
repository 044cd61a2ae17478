import {
  ServicesEndpointsRequestSchema,
  ServicesEndpointsResponseSchema,
  ServicesRegisterRequestSchema,
  ServicesRegisterResponseSchema,
  ServicesUnregisterRequestSchema,
  ServicesUnregisterResponseSchema,
} from '@coold/proto';
import type { Registrations } from '../discovery/corrosion/registrations.ts';
import { isDnsLabel } from '../discovery/endpoint.ts';
import { type Handler, handler } from '../handler.ts';
import type { PodmanLifecycle } from '../podman/lifecycle.ts';
import { checkName, checkNamespace, invalid } from './names.ts';
import { toldByCorrosion } from './told-by-corrosion.ts';

export interface ServicesOptions {
  registrations: Registrations;
  lifecycle: Pick<PodmanLifecycle, 'facts'>;
  hostMgmtIp: string;
  /** Called for a container that may have been registered before discovery saw it. */
  touch(containerId: string): void;
}

/** The service verbs (docs/contract.md §3). Unlike DNS they need Corrosion, and return 503 while it does not answer. */
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
        await toldByCorrosion(registrations.register(registration, signal));
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
        // The container may be gone, or Podman down; the registration has the full id.
        const whole = await lifecycle.facts(named, signal).then(
          ({ id }) => [id],
          () => [],
        );
        await toldByCorrosion(registrations.unregister(serviceId, [...new Set([named, ...whole])], signal));
        return {};
      },
    ),
    'services.endpoints': handler(
      ServicesEndpointsRequestSchema,
      ServicesEndpointsResponseSchema,
      async (request, signal) => ({
        endpoints: await toldByCorrosion(registrations.endpoints(checkName(request.id, 'id'), signal)),
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
