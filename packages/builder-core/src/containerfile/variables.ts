import type { Instruction } from './instruction.ts';
import { defaultShell } from './normalise.ts';

// ARG and ENV: what the variables of a Containerfile stand for, as far as that is known before the build.

const reference = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(:?-([^${}]*))?\})/g;

/** The longest value in characters. A variable may be defined by itself repeatedly and so grow without limit. */
const maxLength = 64 * 1024;

/**
 * Replaces `$NAME`, `${NAME}`, `${NAME-word}` and `${NAME:-word}` in a word.
 *
 * @returns undefined where a variable has no value, the word uses another notation, or the result is too long
 */
export function substitute(word: string, values: ReadonlyMap<string, string>): string | undefined {
  if (/["'\\`]|\$(?![A-Za-z_{])/.test(word) || word.replaceAll(reference, '').includes('$')) return undefined;
  let isKnown = true;
  let length = word.length;
  const replace = (_: string, plain?: string, braced?: string, fallback?: string, otherwise = ''): string => {
    const value = values.get(plain ?? braced ?? '');
    length += value?.length ?? 0;
    if (length > maxLength) isKnown = false;
    if (!isKnown) return '';
    if (value !== undefined && (value !== '' || fallback?.startsWith(':') !== true)) return value;
    if (fallback === undefined) isKnown = false;
    return otherwise;
  };
  const text = word.replaceAll(reference, replace);
  return isKnown ? text : undefined;
}

/** Removes the quotes from a word that is quoted as a whole. A word in single quotes that holds a `$` is returned as it is. */
function unquote(text: string): string {
  return /^"([^"]*)"$/.exec(text)?.[1] ?? /^'([^'$]*)'$/.exec(text)?.[1] ?? text;
}

export interface HeaderOptions {
  buildArgs: Readonly<Record<string, string>>;
  /** The platform of this machine, for example `linux/amd64`. */
  platform: string;
}

/**
 * Returns the values that a FROM may refer to: the ARGs before the first FROM, with their defaults or the values that the
 * request gives, and the platform variables, which need no ARG. An ARG whose default is more than a plain word has no value
 * here.
 */
export function readHeaderArguments(
  instructions: readonly { words: readonly string[] }[],
  { buildArgs, platform }: HeaderOptions,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const [os = '', architecture = '', variant = ''] = platform.split('/');
  for (const whose of ['BUILD', 'TARGET'])
    for (const [name, value] of Object.entries({ PLATFORM: platform, OS: os, ARCH: architecture }))
      values.set(`${whose}${name}`, value);
  values.set('TARGETVARIANT', variant).set('BUILDVARIANT', variant);
  for (const { words } of instructions)
    for (const word of words) {
      const [, name = '', given] = /^([A-Za-z_]\w*)(?:=(.*))?$/s.exec(word) ?? [];
      if (name === '') continue;
      const value = Object.hasOwn(buildArgs, name)
        ? buildArgs[name]
        : given === undefined
          ? values.get(name)
          : substitute(unquote(given), values);
      if (value === undefined) values.delete(name);
      else values.set(name, value);
    }
  return values;
}

/** The values that the instructions of a stage may refer to, as far as they are known before the build. */
export interface StageValues {
  /** By name. undefined: the variable has a value, but in a notation that only buildah resolves. */
  env: Map<string, string | undefined>;
  args: Map<string, string | undefined>;
  /** The shell for commands in shell form. */
  shell: readonly string[];
}

/** The values that a stage begins with, from its base image or base stage. */
export interface StageStart {
  env: ReadonlyMap<string, string | undefined>;
  shell: readonly string[];
}

/** The values of a stage whose base sets nothing. */
export const emptyStageStart: StageStart = { env: new Map(), shell: defaultShell };

/** The values that come from outside the stages. */
export interface OuterValues {
  buildArgs: Readonly<Record<string, string>>;
  /** The values of ARGs before the first FROM and of the platform variables, see readHeaderArguments. */
  header: ReadonlyMap<string, string>;
}

/** Returns the values at the first instruction of a stage. */
export function beginStage({ env, shell }: StageStart): StageValues {
  return { env: new Map(env), args: new Map(), shell };
}

/** Updates the values of a stage with what an instruction sets. */
export function applyInstruction(
  values: StageValues,
  instruction: Instruction,
  { buildArgs, header }: OuterValues,
): void {
  switch (instruction.name) {
    case 'SHELL':
      values.shell = instruction.words;
      return;
    case 'ENV': {
      const pairs =
        'key' in instruction ? [[instruction.key, instruction.value]] : instruction.words.map(pairOf);
      // All words of one ENV refer to the values before this instruction.
      const given = pairs.map(([name = '', value = '']) => [name, wordValue(value, values)] as const);
      for (const [name, value] of given) values.env.set(name, value);
      return;
    }
    case 'ARG':
      for (const word of instruction.words) {
        const [name = '', value] = pairOf(word);
        if (Object.hasOwn(buildArgs, name)) values.args.set(name, buildArgs[name]);
        else if (value !== undefined) values.args.set(name, wordValue(value, values));
        else if (header.has(name)) values.args.set(name, header.get(name));
      }
      return;
    default:
  }
}

/** Splits `name=value`. The value is absent where there is no `=`. */
function pairOf(word: string): [string, string?] {
  const at = word.indexOf('=');
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

function wordValue(word: string, values: StageValues): string | undefined {
  return /^'[^']*'$/.test(word) ? word.slice(1, -1) : resolve(unquote(word), values);
}

/** Replaces the variables in a word. Returns undefined where a value is not known, or the word uses another notation. */
export function resolve(word: string, { env, args }: StageValues): string | undefined {
  const known = new Map<string, string>();
  const merged = new Map([...args, ...env]);
  for (const [, name = ''] of word.matchAll(/\$\{?([A-Za-z_][A-Za-z0-9_]*)/g)) {
    const value = merged.get(name);
    if (value !== undefined) known.set(name, value);
    else if (merged.has(name)) return undefined;
  }
  return substitute(word, known);
}
