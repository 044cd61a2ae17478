import { absolutePath, boolean, defineCommand } from '@coold/runtime';

/**
 * `broker doctor`: what on this machine prevents the broker from working now or later, before and after the
 * installation.
 */
export const doctorCommand = defineCommand({
  name: 'broker doctor',
  summary:
    'checks everything that the broker needs on this machine, without the daemon; exit 0: nothing fails, 1: something fails, 2: wrong usage',
  options: {
    settingsFile: {
      type: absolutePath,
      default: '/etc/coolify/broker.env',
      help: "The broker's settings file, which its unit reads; it does not exist before the installation",
    },
    json: { type: boolean, default: 'false', help: 'Prints one JSON object, for programs' },
  },
});
