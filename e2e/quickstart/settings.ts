// The files that an operator writes into /etc/coolify of a host that also runs the broker. Pure.
import type { PlannedHost } from '../harness/mesh-plan.ts';
import { containerPool } from '../harness/mesh-plan.ts';

const grpcPort = 6443;
export const apiPort = 8443;

/** Returns the files of /etc/coolify by name, without secrets. */
export function settingsFiles(
  { mgmtIp, namespaces }: PlannedHost,
  { gitServer }: { gitServer: string },
): Record<'coold.env' | 'mesh.env' | 'broker.env', string> {
  const all = Object.entries(namespaces);
  return {
    'coold.env': lines({
      COOLD_HOST_MGMT_IP: mgmtIp,
      COOLD_BROKER_URL: `grpc://${mgmtIp}:${grpcPort}/v1/agent`,
      COOLD_NAMESPACES: all.map(([name, { network, gateway }]) => `${name}:${network}:${gateway}`).join(','),
      COOLD_API_BIND: `${mgmtIp}:${apiPort}`,
      COOLD_API_TOKEN_FILE: '/etc/coolify/api-token',
      COOLD_BUILDER_ENABLED: '1',
      // In addition to public addresses, which this host cannot reach.
      COOLD_BUILDER_ALLOW_NETS: `${gitServer}/32`,
      COOLD_DNS_UPSTREAM: 'resolv.conf',
    }),
    'mesh.env': lines({
      COOLD_SCAFFOLD_SUBNETS: all.map(([, { subnet }]) => subnet).join(','),
      COOLD_SCAFFOLD_POOLS: containerPool,
    }),
    'broker.env': lines({ BROKER_GRPC_BIND: `${mgmtIp}:${grpcPort}` }),
  };
}

function lines(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
