import { boolean, defineCommand } from '@coold/runtime';
import { brokerCommand } from './config.ts';

/** `broker status`: how the broker of this machine is, for a person. It finds the socket by the file that the broker's unit reads. */
export const statusCommand = defineCommand({
  name: 'broker status',
  envPrefix: 'BROKER_',
  summary:
    'says how the broker of this machine is; exit 0: healthy, 1: not, with the reasons, 2: wrong usage, 3: not reachable',
  environmentFile: { path: '/etc/coolify/broker.env', options: ['unixSocketPath'] },
  options: {
    unixSocketPath: brokerCommand.options.unixSocketPath,
    json: { type: boolean, default: 'false', flagOnly: true, help: 'One JSON object, for machines' },
  },
});
