import { boolean, defineCommand } from '@coold/runtime';
import { cooldCommand } from '../config.ts';

const { apiBind, apiTokenFile, tlsCert, unixSocketPath } = cooldCommand.options;

/**
 * `coold status`: shows this host's coold to a person. It asks the daemon's socket, found by the settings file that the
 * daemon's unit reads, and uses REST only when an address is given.
 */
export const statusCommand = defineCommand({
  name: 'coold status',
  envPrefix: 'COOLD_',
  otherNames: { prefixes: ['COOLIFY_COOLD_'], names: {} },
  summary:
    "shows the state of this host's coold; exit 0: healthy, 1: not healthy, with the reasons, 2: wrong usage, 3: not reachable",
  options: {
    unixSocketPath: { ...unixSocketPath, help: 'Socket that coold is asked on' },
    apiBind: { ...apiBind, help: 'Address of its REST API, to ask there instead of on the socket' },
    apiTokenFile: { ...apiTokenFile, help: 'Token of the REST API' },
    tlsCert: { ...tlsCert, help: 'Certificate that the REST API shows; unset: plain HTTP' },
    json: { type: boolean, default: 'false', flagOnly: true, help: 'Prints one JSON object, for programs' },
  },
  environmentFile: { path: '/etc/coolify/coold.env', options: ['unixSocketPath'] },
  check: ({ apiBind: bind, apiTokenFile: token }) =>
    bind !== undefined && token === undefined
      ? 'COOLD_API_TOKEN_FILE is not set: expected the path of a token, because COOLD_API_BIND is set'
      : undefined,
});
