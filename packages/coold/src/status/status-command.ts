import { boolean, defineCommand } from '@coold/runtime';
import { cooldCommand } from '../config.ts';

const { apiBind, apiTokenFile, tlsCert } = cooldCommand.options;

/** `coold status`: how the coold of this host is, for a person. Asked where the daemon's own variables say it is. */
export const statusCommand = defineCommand({
  name: 'coold status',
  envPrefix: 'COOLD_',
  summary:
    'says how the coold of this host is; exit 0: healthy, 1: not, with the reasons, 2: wrong usage, 3: not reachable',
  options: {
    apiBind: { ...apiBind, help: 'Where its REST API is; unset: asked on /run/coolify/coold.sock' },
    apiTokenFile: { ...apiTokenFile, help: 'Token of the REST API' },
    tlsCert: { ...tlsCert, help: 'Certificate that the REST API shows; unset: plain HTTP' },
    json: { type: boolean, default: 'false', flagOnly: true, help: 'One JSON object, for machines' },
  },
  check: ({ apiBind: bind, apiTokenFile: token }) =>
    bind !== undefined && token === undefined
      ? 'COOLD_API_TOKEN_FILE is not set: expected the path of a token, because COOLD_API_BIND is set'
      : undefined,
});
