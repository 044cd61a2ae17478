import type { Settings } from '../config/read-settings.ts';
import { type Finding, fail, ok, warn } from './checks.ts';

/**
 * Judges whether a program would start with its settings. Pure.
 *
 * @param program its name, which is also that of its unit
 */
export function judgeSettings(program: string, settings: Settings<unknown>): Finding {
  switch (settings.kind) {
    case 'absent':
      return ok(
        `${settings.path} is not there: ${program} is not installed, or its unit holds the settings itself`,
      );
    case 'unusable':
      return settings.why.startsWith('EACCES')
        ? warn(`${settings.path} cannot be read: not root`, 'run this as root')
        : fail(
            `${settings.path} cannot be used: ${settings.why}`,
            `correct the line, and \`systemctl restart ${program}\``,
          );
    case 'read':
      return settings.unknownEnv.length === 0
        ? ok(`${settings.path} can be used`)
        : warn(
            `${settings.path} has variables that ${program} does not know: ${settings.unknownEnv.join(', ')}`,
            `correct or remove them; \`${program} --help\` lists all`,
          );
  }
}
