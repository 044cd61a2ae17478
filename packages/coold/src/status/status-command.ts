import { boolean, defineCommand } from '@coold/runtime';
import { cooldCommand } from '../config.ts';

const { apiBind, apiTokenFile, tlsCert, unixSocketPath } = cooldCommand.options;

/**
 * `coold status`: how the coold of this host is, for a person. It asks the daemon's socket, and finds it by the file that
 * the daemon's unit reads; over REST it asks only who names an address here.
 */
export const statusCommand = defineCommand({
  name: 'coold status',
  envPrefix: 'COOLD_',
  summary:
    'says how the coold of this host is; exit 0: healthy, 1: not, with the reasons, 2: wrong usage, 3: not reachable',
  options: {
    unixSocketPath: { ...unixSocketPath, help: 'Socket that coold is asked on' },
    apiBind: { ...apiBind, help: 'Address of its REST API, to ask there instead of on the socket' },
    apiTokenFile: { ...apiTokenFile, help: 'Token of the REST API' },
    tlsCert: { ...tlsCert, help: 'Certificate that the REST API shows; unset: plain HTTP' },
    json: { type: boolean, default: 'false', flagOnly: true, help: 'One JSON object, for machines' },
  },
  environmentFile: { path: '/etc/coolify/coold.env', options: ['unixSocketPath'] },
  check: ({ apiBind: bind, apiTokenFile: token }) =>
    bind !== undefined && token === undefined
      ? 'COOLD_API_TOKEN_FILE is not set: expected the path of a token, because COOLD_API_BIND is set'
      : undefined,
});
