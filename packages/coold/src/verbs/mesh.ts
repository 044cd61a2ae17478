import { VerbError } from '@coold/errors';
import { MeshForgetRequestSchema, MeshForgetResponseSchema } from '@coold/proto';
import type { MeshHosts } from '../discovery/hosts/mesh-hosts.ts';
import { type Handler, handler } from '../handler.ts';
import { checkIpv4 } from './names.ts';
import { toldByCorrosion } from './told-by-corrosion.ts';

/** The mesh verbs (docs/contract.md §3). */
export function meshHandlers(hosts: MeshHosts): Record<string, Handler> {
  return {
    'mesh.forget': handler(MeshForgetRequestSchema, MeshForgetResponseSchema, async (request, signal) => {
      const host = checkIpv4(request.hostMgmtIp, 'host_mgmt_ip');
      const outcome = await toldByCorrosion(hosts.forget(host, signal));
      if (outcome === 'seen')
        throw new VerbError(
          'host_may_live',
          `host ${host} may live: it is this one, was seen lately, or is a peer`,
          { field: 'host_mgmt_ip' },
        );
      return {};
    }),
  };
}
