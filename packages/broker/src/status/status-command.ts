import { boolean, defineCommand } from '@coold/runtime';
import { brokerCommand } from '../config.ts';

/**
 * `broker status`: shows the state of the broker of this machine to a person. It finds the socket in the file that the
 * broker's unit reads.
 */
export const statusCommand = defineCommand({
  name: 'broker status',
  envPrefix: 'BROKER_',
  otherNames: { prefixes: ['SCHEDULER_', 'COOLIFY_FLUX_'], names: {} },
  summary:
    "shows the state of this machine's broker; exit 0: healthy, 1: not healthy, with the reasons, 2: wrong usage, 3: not reachable",
  environmentFile: { path: '/etc/coolify/broker.env', options: ['unixSocketPath'] },
  options: {
    unixSocketPath: brokerCommand.options.unixSocketPath,
    json: { type: boolean, default: 'false', flagOnly: true, help: 'Prints one JSON object, for programs' },
  },
});
