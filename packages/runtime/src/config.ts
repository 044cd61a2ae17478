import type { ValueType } from './values.ts';

/** One setting. Its names follow from its key: `apiBind` is `--api-bind`, and with the prefix COOLD_ `COOLD_API_BIND`. */
export interface Option<T> {
  type: ValueType<T>;
  /** As an operator would write it; parsed like any value. */
  default?: string;
  required?: true;
  /** No environment variable sets it. */
  flagOnly?: true;
  /** One line; also in docs/reference. */
  help: string;
}

export type Options = Record<string, Option<unknown>>;

type ValueOf<O> = O extends { type: ValueType<infer T> } ? T : never;
export type Config<T extends Options> = {
  [K in keyof T]: T[K] extends { default: string } | { required: true }
    ? ValueOf<T[K]>
    : ValueOf<T[K]> | undefined;
};

/** A program or one of its commands: what drives environment, flags, --help and docs/reference alike. */
export interface Command<T extends Options> {
  name: string;
  /** Absent: flags only. */
  envPrefix?: string;
  summary: string;
  /**
   * The file that the unit of the daemon reads. What it says of these options counts where neither a flag nor a variable
   * does, so that a command finds the daemon of an installed host.
   */
  environmentFile?: { path: string; options: readonly (keyof T & string)[] };
  /** What else the program does when the first argument says so; each has its own --help. */
  commands?: readonly string[];
  options: T;
  /** What no single value can tell; a sentence naming the variable when something is wrong. */
  check?: (config: Config<T>) => string | undefined;
}

/** States a table with its types inferred. */
export function defineCommand<const T extends Options>(command: Command<T>): Command<T> {
  return command;
}

/** The configuration that a command's table yields. */
export type ConfigOf<C> = C extends Command<infer T> ? Config<T> : never;

/** The part of a command that names and describes; what every command has in common. */
export type Described = Omit<Command<Options>, 'check' | 'environmentFile'>;

export interface Surroundings {
  argv: readonly string[];
  env: NodeJS.ProcessEnv;
  version: string;
}

export type Parsed<T extends Options> =
  | { kind: 'run'; config: Config<T>; unknownEnv: string[] }
  /** Nothing to run: print `text` (stdout when the code is 0, else stderr) and end with `code`. */
  | { kind: 'exit'; code: 0 | 2; text: string };

/** Reads environment and flags against the table; a flag wins. Pure. */
export function parseConfig<const T extends Options>(
  command: Command<T>,
  { argv, env, version }: Surroundings,
): Parsed<T> {
  const wrong = (text: string): Parsed<T> => ({ kind: 'exit', code: 2, text: `${command.name}: ${text}` });
  const byFlag = new Map(
    Object.entries(command.options).map(([key, option]) => [flagName(key), { key, option }]),
  );
  const given = new Map<string, { source: string; text: string }>();

  for (const [key] of Object.entries(command.options)) {
    const name = envName(command, key);
    const value = name === undefined ? undefined : env[name];
    // An empty variable is an unset one: that is how environment files blank a setting.
    if (name !== undefined && value !== undefined && value !== '')
      given.set(key, { source: name, text: value });
  }
  for (let i = 0; i < argv.length; i += 1) {
    const arg = argv[i] ?? '';
    if (arg === '--help' || arg === '-h') return { kind: 'exit', code: 0, text: helpText(command) };
    if (arg === '--version') return { kind: 'exit', code: 0, text: `${command.name} ${version}` };
    const [flag = '', ...rest] = arg.split('=');
    const entry = byFlag.get(flag);
    if (entry === undefined) {
      // Escaped: whatever was passed, the complaint is one line.
      return wrong(`${JSON.stringify(arg).slice(1, -1)}: expected one of the flags that --help lists`);
    }
    const inline = rest.length > 0 ? rest.join('=') : undefined;
    const isSwitch = entry.option.type.parse('true') === true;
    let value = inline ?? (isSwitch ? 'true' : undefined);
    if (value === undefined) {
      // A flag where a value belongs is a value forgotten; `--flag=--text` says that it is meant.
      const next = argv[i + 1];
      if (next === undefined || next.startsWith('--'))
        return wrong(`${flag}: expected ${entry.option.type.expected}`);
      value = next;
      i += 1;
    }
    given.set(entry.key, { source: flag, text: value });
  }

  const config: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(command.options)) {
    const { source, text } = given.get(key) ?? { source: 'default', text: option.default };
    if (text === undefined) {
      if (option.required)
        return wrong(
          `${envName(command, key) ?? flagName(key)} is not set: expected ${option.type.expected}`,
        );
      config[key] = undefined;
      continue;
    }
    const value = option.type.parse(text);
    if (value === undefined)
      return wrong(`${source}=${JSON.stringify(text)}: expected ${option.type.expected}`);
    config[key] = value;
  }
  const complaint = command.check?.(config as Config<T>);
  if (complaint !== undefined) return wrong(complaint);
  return { kind: 'run', config: config as Config<T>, unknownEnv: unknownVariables(command, env) };
}

/** A row of --help and of docs/reference. */
export interface OptionRow {
  env: string | undefined;
  flag: string;
  default: string;
  help: string;
}

export function optionRows(command: Described): OptionRow[] {
  return Object.entries(command.options).map(([key, option]) => ({
    env: envName(command, key),
    flag: flagName(key),
    default: option.required ? 'required' : (option.default ?? 'unset'),
    help: option.help,
  }));
}

function helpText(command: Described): string {
  const rows = optionRows(command);
  const width = Math.max(...rows.map(row => row.flag.length));
  const lines = rows.map(row => {
    const names = row.env === undefined ? '' : `${row.env}, `;
    return `  ${row.flag.padEnd(width)}  ${row.help} (${names}${row.default === 'required' || row.default === 'unset' ? row.default : `default ${row.default}`})`;
  });
  const commands = (command.commands ?? []).map(name => `  ${command.name} ${name} --help`);
  return [
    `${command.name}: ${command.summary}`,
    '',
    ...lines,
    `  ${'--help'.padEnd(width)}  This text`,
    `  ${'--version'.padEnd(width)}  The version, one line`,
    ...(commands.length === 0 ? [] : ['', 'Other commands:', ...commands]),
  ].join('\n');
}

function flagName(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`;
}

/** Which variables of `file` count for a command: those of the options that it takes from there. Pure. */
export function fromEnvironmentFile<T extends Options>(
  command: Command<T>,
  file: Readonly<Record<string, string>>,
): Record<string, string> {
  const names = (command.environmentFile?.options ?? []).map(key => envName(command, key));
  return Object.fromEntries(Object.entries(file).filter(([name]) => names.includes(name)));
}

function envName(command: Described, key: string): string | undefined {
  if (command.envPrefix === undefined || command.options[key]?.flagOnly) return undefined;
  return command.envPrefix + key.replaceAll(/[A-Z]/g, letter => `_${letter}`).toUpperCase();
}

function unknownVariables(command: Described, env: NodeJS.ProcessEnv): string[] {
  const { envPrefix } = command;
  if (envPrefix === undefined) return [];
  const known = new Set(Object.keys(command.options).map(key => envName(command, key)));
  return Object.keys(env).filter(name => name.startsWith(envPrefix) && !known.has(name));
}
