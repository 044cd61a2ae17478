import { readRegularFile } from '../regular-file.ts';
import { type Command, type Config, type Options, parseConfig } from './config.ts';
import { parseEnvironmentFile } from './environment-file.ts';

/** What a daemon of this machine is told by the file that its unit reads. */
export type Settings<C> =
  /** There is no such file: the program is not installed here, or its unit holds the settings itself. */
  | { kind: 'absent'; path: string }
  /** The daemon would not start with it, or it cannot be read. */
  | { kind: 'unusable'; path: string; why: string }
  | { kind: 'read'; path: string; config: C };

/** Reads the environment file of a daemon as its unit does, without anything of this process's environment. Never rejects. */
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
    ? { kind: 'read', path, config: parsed.config }
    : { kind: 'unusable', path, why: parsed.text };
}
