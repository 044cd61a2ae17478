import { type Command, type Options, optionRows, parseEnvironmentFile } from '@coold/runtime';
import { isSecretName } from './redact.ts';

/** An environment file for display: known options with values, other variables by name only. */
export interface ShownSettings {
  /** The program's own options, with values. */
  known: Record<string, string>;
  /** Variables that the program does not know. Their values are not shown. */
  others: string[];
  /** Values that are not shown, so that they can be redacted elsewhere. */
  hidden: string[];
}

/**
 * Splits an environment file. An option's value is shown only when the program would accept it, because the file may
 * contain anything. Pure.
 */
export function showSettings<T extends Options>(command: Command<T>, text: string): ShownSettings {
  const shown: ShownSettings = { known: {}, others: [], hidden: [] };
  const names = new Set(optionRows(command).flatMap(({ env }) => (env === undefined ? [] : [env])));
  for (const [name, value] of Object.entries(parseEnvironmentFile(text))) {
    if (names.has(name) && isUnderstood(command, name, value) && !hasSecret(name, value)) {
      shown.known[name] = value;
      continue;
    }
    shown.others.push(name);
    if (value !== '') shown.hidden.push(value);
  }
  return shown;
}

/** Whether the program would accept the value, regardless of other required options. */
function isUnderstood<T extends Options>(command: Command<T>, name: string, value: string): boolean {
  const { options } = command;
  const key = Object.keys(options).find(
    candidate =>
      `${command.envPrefix}${candidate.replaceAll(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}` === name,
  );
  const option = key === undefined ? undefined : options[key];
  return option !== undefined && option.type.parse(value) !== undefined;
}

/** Under the name of a secret, a path is where the secret is; any other value may be the secret. */
const hasSecret = (name: string, value: string) => isSecretName(name) && !value.startsWith('/');
