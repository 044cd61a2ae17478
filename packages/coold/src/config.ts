import { absolutePath, boolean, type ConfigOf, defineCommand, ipv4, list, logFilter } from '@coold/runtime';
import { brokerUrl } from './link/broker-url.ts';

/** Every variable and flag of `coold` (CONTRACT §8). */
export const cooldCommand = defineCommand({
  name: 'coold',
  envPrefix: 'COOLD_',
  summary: 'the per-host agent: runs what the broker asks for on the Podman of this host',
  options: {
    hostMgmtIp: { type: ipv4, required: true, help: "This host's address in the mesh (wg0)" },
    brokerUrl: {
      type: brokerUrl,
      help: 'Where the broker listens, for example grpcs://broker:6443/v1/agent; unset: no stream',
    },
    brokerCa: { type: absolutePath, help: "PEM certificates that vouch for the broker; unset: the system's" },
    hostJwtPath: {
      type: absolutePath,
      default: '/etc/coolify/host-jwt',
      help: "This host's token for the broker, readable by its owner alone; read again at every dial",
    },
    grpcDisabled: { type: boolean, default: 'false', help: 'No stream to the broker, whatever its URL' },
    podmanSocket: { type: absolutePath, default: '/run/podman/podman.sock', help: "Podman's API socket" },
    allowedMountSources: {
      type: list(absolutePath),
      help: 'Paths of this host, comma-separated, that containers may mount from; unset: none',
    },
    logLevel: { type: logFilter, default: 'info', help: 'Level or filter: info,coold.link=debug' },
  },
});

export type CooldConfig = ConfigOf<typeof cooldCommand>;
