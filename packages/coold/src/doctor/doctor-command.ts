import { absolutePath, boolean, defineCommand } from '@coold/runtime';

/** `coold doctor`: finds what on this host prevents coold from working, or will, before and after installation. */
export const doctorCommand = defineCommand({
  name: 'coold doctor',
  summary:
    'checks everything that coold needs on this host, without the daemon; exit 0: nothing fails, 1: something fails, 2: wrong usage',
  options: {
    settingsFile: {
      type: absolutePath,
      default: '/etc/coolify/coold.env',
      help: "coold's settings file, which its unit reads; it does not exist before the installation",
    },
    json: { type: boolean, default: 'false', help: 'Prints one JSON object, for programs' },
  },
});
