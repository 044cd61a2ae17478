import type { Instruction } from './instruction.ts';
import { defaultShell } from './normalise.ts';
import { substitute, unquote } from './substitute.ts';

/** What instructions of a stage may refer to, as far as it is known before the build. */
export interface StageValues {
  /** undefined: it has a value, in a notation that only buildah resolves. */
  env: Map<string, string | undefined>;
  args: Map<string, string | undefined>;
  /** What commands in shell form are given to. */
  shell: readonly string[];
}

/** What a stage begins with. */
export interface Beginning {
  env: ReadonlyMap<string, string | undefined>;
  shell: readonly string[];
}

export const emptyBeginning: Beginning = { env: new Map(), shell: defaultShell };

export interface Outside {
  buildArgs: Readonly<Record<string, string>>;
  /** What ARGs before the first FROM and the platform give, see readHeaderArguments. */
  header: ReadonlyMap<string, string>;
}

export function beginStage({ env, shell }: Beginning): StageValues {
  return { env: new Map(env), args: new Map(), shell };
}

/** Takes in what an instruction sets. */
export function follow(values: StageValues, instruction: Instruction, { buildArgs, header }: Outside): void {
  switch (instruction.name) {
    case 'SHELL':
      values.shell = instruction.words;
      return;
    case 'ENV': {
      const pairs =
        'key' in instruction ? [[instruction.key, instruction.value]] : instruction.words.map(pairOf);
      // All of one instruction refer to what was before it.
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

/** Name and value of `name=value`. */
function pairOf(word: string): [string, string?] {
  const at = word.indexOf('=');
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

function wordValue(word: string, values: StageValues): string | undefined {
  return /^'[^']*'$/.test(word) ? word.slice(1, -1) : resolve(unquote(word), values);
}

/** A word with its variables replaced; undefined: one of them is not known, or it is in other notation. */
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
