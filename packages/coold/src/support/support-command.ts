import { absolutePath, defineCommand, text } from '@coold/runtime';

/** `coold support-bundle`: writes one archive that shows others this host's state, without its secrets. */
export const supportCommand = defineCommand({
  name: 'coold support-bundle',
  summary:
    "writes one archive with this host's status, doctor report, versions, units, journal, rules, networks and rows, without secrets; exit 0: written, 1: not written, 2: wrong usage",
  options: {
    output: {
      type: text,
      help: 'File to write, which must not exist; unset: coold-support-HOST-TIME.tar.gz in the current folder',
    },
    settingsFile: {
      type: absolutePath,
      default: '/etc/coolify/coold.env',
      help: "coold's settings file, which its unit reads",
    },
  },
});
