import { readRegularFile } from '../regular-file.ts';
import { type Command, type Config, type Options, parseConfig } from './config.ts';
import { parseEnvironmentFile } from './environment-file.ts';

/** The settings of a daemon of this machine, from the file that its unit reads. */
export type Settings<C> =
  /** The file does not exist: the program is not installed here, or its unit holds the settings itself. */
  | { kind: 'absent'; path: string }
  /** The daemon would not start with it, or it cannot be read. */
  | { kind: 'unusable'; path: string; why: string }
  /** `unknownEnv`: variables with the program's prefix that it does not know, such as a misspelled one. */
  | { kind: 'read'; path: string; config: C; unknownEnv: readonly string[] };

/** Reads the environment file of a daemon as its unit does, without the environment of this process. Never rejects. */
export async function readSettings<T extends Options>(
  command: Command<T>,
  path: string,
): Promise<Settings<Config<T>>> {
  let text: string;
  try {
    text = await readRegularFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? { kind: 'absent', path } : { kind: 'unusable', path, why: message };
  }
  const parsed = parseConfig(command, { argv: [], env: parseEnvironmentFile(text), version: '' });
  return parsed.kind === 'run'
    ? { kind: 'read', path, config: parsed.config, unknownEnv: parsed.unknownEnv }
    : { kind: 'unusable', path, why: parsed.text };
}
