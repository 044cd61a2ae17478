import type { ValueType } from './values.ts';

/** One setting. Its names derive from its key: `apiBind` is `--api-bind`, and with the prefix COOLD_ `COOLD_API_BIND`. */
export interface Option<T> {
  type: ValueType<T>;
  /** The default as an operator would write it. It is parsed like any value. */
  default?: string;
  required?: true;
  /** It has no environment variable. */
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

/** A program or one of its commands. Environment, flags, --help and docs/reference are all derived from it. */
export interface Command<T extends Options> {
  name: string;
  /** The prefix of environment variables. Absent: only flags set options. */
  envPrefix?: string;
  summary: string;
  /** Variables of other programs with the same meaning. Variables with `envPrefix` take precedence. */
  otherNames?: OtherNames<keyof T & string>;
  /**
   * The environment file of the daemon's unit. Its values for these options are used where neither a flag nor a variable sets
   * them, so that a command finds the daemon of an installed host.
   */
  environmentFile?: { path: string; options: readonly (keyof T & string)[] };
  /** Other commands of the program, chosen by the first argument. Each has its own --help. */
  commands?: readonly string[];
  options: T;
  /** Checks values together. Returns a sentence naming the variable when something is wrong. */
  check?: (config: Config<T>) => string | undefined;
}

export interface OtherNames<K extends string> {
  /** Other prefixes, each in place of `envPrefix`. */
  prefixes: readonly string[];
  /** Whole names by option, where more than the prefix differs. */
  names: Readonly<Partial<Record<K, readonly string[]>>>;
}

/** A variable that is ignored because another one sets the same option to another value. */
export interface Overruled {
  name: string;
  by: string;
}

/** Returns the command unchanged, with the types of its options inferred. */
export function defineCommand<const T extends Options>(command: Command<T>): Command<T> {
  return command;
}

/** The configuration of a command. */
export type ConfigOf<C> = C extends Command<infer T> ? Config<T> : never;

/** The part of a command that its help needs; all commands have it in common. */
export type Described = Omit<Command<Options>, 'check' | 'environmentFile'>;

export interface Surroundings {
  argv: readonly string[];
  env: NodeJS.ProcessEnv;
  version: string;
}

export type Parsed<T extends Options> =
  | { kind: 'run'; config: Config<T>; unknownEnv: string[]; overruled: Overruled[] }
  /** Print `text` (to stdout when the code is 0, else to stderr) and end with `code`. */
  | { kind: 'exit'; code: 0 | 2; text: string };

/** Reads the options of a command from flags and environment. A flag takes precedence. Pure. */
export function parseConfig<const T extends Options>(
  command: Command<T>,
  { argv, env, version }: Surroundings,
): Parsed<T> {
  const wrong = (text: string): Parsed<T> => ({ kind: 'exit', code: 2, text: `${command.name}: ${text}` });
  const byFlag = new Map(
    Object.entries(command.options).map(([key, option]) => [flagName(key), { key, option }]),
  );
  const given = new Map<string, { source: string; text: string }>();
  const overruled: Overruled[] = [];

  for (const [key] of Object.entries(command.options)) {
    for (const name of envNames(command, key)) {
      const value = env[name];
      // An empty variable counts as unset: environment files unset an option in this way.
      if (value === undefined || value === '') continue;
      const first = given.get(key);
      if (first === undefined) given.set(key, { source: name, text: value });
      else if (first.text !== value) overruled.push({ name, by: first.source });
    }
  }
  for (let i = 0; i < argv.length; i += 1) {
    const arg = argv[i] ?? '';
    if (arg === '--help' || arg === '-h') return { kind: 'exit', code: 0, text: helpText(command) };
    if (arg === '--version') return { kind: 'exit', code: 0, text: `${command.name} ${version}` };
    const [flag = '', ...rest] = arg.split('=');
    const entry = byFlag.get(flag);
    if (entry === undefined) {
      // Escaped, so that the message is one line whatever was passed.
      const expected = command.commands === undefined ? 'flags' : 'commands or flags';
      return wrong(`${JSON.stringify(arg).slice(1, -1)}: expected one of the ${expected} that --help lists`);
    }
    const inline = rest.length > 0 ? rest.join('=') : undefined;
    const isSwitch = entry.option.type.parse('true') === true;
    let value = inline ?? (isSwitch ? 'true' : undefined);
    if (value === undefined) {
      // A flag in place of a value means that the value was forgotten. `--flag=--text` passes such a value.
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
  return { kind: 'run', config: config as Config<T>, unknownEnv: unknownVariables(command, env), overruled };
}

/** A row of --help and of docs/reference. */
export interface OptionRow {
  env: string | undefined;
  flag: string;
  default: string;
  help: string;
}

/** Returns the options of a command as rows. */
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
    ...otherNamesText(command),
    ...(commands.length === 0 ? [] : ['', 'Other commands:', ...commands]),
  ].join('\n');
}

function otherNamesText({ envPrefix, otherNames }: Described): string[] {
  if (otherNames === undefined) return [];
  const prefixes = otherNames.prefixes.map(prefix => `${prefix}…`);
  const names = Object.values(otherNames.names).flatMap(some => some ?? []);
  return ['', `Read where the variable ${envPrefix}… is not set: ${[...prefixes, ...names].join(', ')}`];
}

function flagName(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`;
}

/** Returns the variables of an environment file that a command reads. Pure. */
export function fromEnvironmentFile<T extends Options>(
  command: Command<T>,
  file: Readonly<Record<string, string>>,
): Record<string, string> {
  const names = new Set((command.environmentFile?.options ?? []).flatMap(key => envNames(command, key)));
  return Object.fromEntries(Object.entries(file).filter(([name]) => names.has(name)));
}

/** Returns the names of an option's variables, in order of precedence. */
function envNames(command: Described, key: string): string[] {
  const own = envName(command, key);
  if (own === undefined) return [];
  const { prefixes = [], names = {} } = command.otherNames ?? {};
  const suffix = own.slice(command.envPrefix?.length);
  return [own, ...(names[key] ?? []), ...prefixes.map(prefix => prefix + suffix)];
}

function envName(command: Described, key: string): string | undefined {
  if (command.envPrefix === undefined || command.options[key]?.flagOnly) return undefined;
  return command.envPrefix + key.replaceAll(/[A-Z]/g, letter => `_${letter}`).toUpperCase();
}

function unknownVariables(command: Described, env: NodeJS.ProcessEnv): string[] {
  const { envPrefix, otherNames } = command;
  if (envPrefix === undefined) return [];
  const prefixes = [envPrefix, ...(otherNames?.prefixes ?? [])];
  const known = new Set(Object.keys(command.options).flatMap(key => envNames(command, key)));
  return Object.keys(env).filter(
    name => prefixes.some(prefix => name.startsWith(prefix)) && !known.has(name),
  );
}
