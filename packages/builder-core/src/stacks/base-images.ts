import { isImageReference } from '@coold/runtime/image-reference';
import { BuildFailure } from '../build-failure.ts';
import { type Instruction, isInstruction, readUnambiguously } from './containerfile-lines.ts';
import { readHeaderArguments, substitute } from './header-arguments.ts';

/** An image that a stage begins with. */
export interface BaseImage {
  name: string;
  /** As `--platform` names it; absent: this machine's. */
  platform?: string;
}

/** Tells one from another, and people which is meant. */
export function labelOf({ name, platform }: BaseImage): string {
  return platform === undefined ? name : `${name} for ${platform}`;
}

/** What a build takes from images, and how they are put into its containerfile. */
export interface BaseImages {
  /** Of each stage up to the target, each once: what they ask for (ONBUILD) is executed. */
  images: BaseImage[];
  /** Images that files are copied from, and nothing else, as they are named there. */
  copied: string[];
  /**
   * The names of the stages that a stage on this image may copy from, wherever the image is used: what an image asks its
   * builds for (ONBUILD) may name them. A name that no stage before it has would be that of an image.
   *
   * @param label of one of `images`
   */
  stagesBefore(label: string): ReadonlySet<string>;
  /** The one below the image that is built; undefined: none is. */
  root?: BaseImage;
  /**
   * The containerfile with images by their ids, so that it is those that were looked at which are built on and copied from.
   * Nothing but an id, an earlier stage or `scratch` is left in a FROM, and no name of an image in a COPY.
   *
   * @param ids of each of `images`, by its label, and of each of `copied`
   * @throws Error when one is missing
   */
  pin(ids: ReadonlyMap<string, string>): string;
}

export interface BaseOptions {
  buildArgs: Readonly<Record<string, string>>;
  target?: string;
  /** This machine's, as `linux/amd64`. */
  platform: string;
}

interface Stage {
  instruction: Instruction;
  name: string | undefined;
  base: { kind: 'scratch' } | { kind: 'stage'; name: string } | { kind: 'image'; image: BaseImage };
}

const isFrom = isInstruction('FROM');
/** The flags come first: what follows them is a path, whatever it looks like. */
const copiedFrom = /^((?:COPY|ADD)\s+(?:--\S+\s+)*?--from=)(\S+)/is;

/**
 * Reads which images a containerfile builds on. What a FROM says is resolved here and nowhere else: `pin` leaves buildah
 * nothing to resolve.
 *
 * @throws BuildFailure 422 for a FROM that cannot be resolved, or that parsers read differently
 */
export function readBaseImages(containerfile: string, options: BaseOptions): BaseImages {
  const instructions = readUnambiguously(containerfile, 'FROM');
  const begin = instructions.findIndex(isFrom);
  const header = begin < 0 ? instructions : instructions.slice(0, begin);
  const argumentsOf = readHeaderArguments(
    header.map(({ text }) => text),
    options,
  );
  const stages: Stage[] = [];
  for (const instruction of instructions.filter(isFrom))
    stages.push(readStage(instruction, stages, argumentsOf, options.platform));
  const last = stages.findIndex(({ name }, at) => (name ?? String(at)) === options.target);
  const built = last < 0 ? stages : stages.slice(0, last + 1);
  const root = rootOf(built);
  const copies = findCopies(instructions, stages);
  const labelled = built.flatMap(({ base }) =>
    base.kind === 'image' ? [[labelOf(base.image), base.image] as const] : [],
  );
  return {
    images: [...new Map(labelled).values()],
    copied: [...new Set(copies.map(({ image }) => image))],
    stagesBefore: label => {
      const before = built.flatMap(({ base }, at) =>
        base.kind === 'image' && labelOf(base.image) === label ? [namesBefore(stages, at)] : [],
      );
      return before.reduce((some, names) => some.intersection(names), before[0] ?? new Set());
    },
    ...(root === undefined ? {} : { root }),
    pin: ids =>
      rewrite(containerfile, [
        ...stages.map(stage => ({
          instruction: stage.instruction,
          text: pinned(stage, built.includes(stage), ids),
        })),
        ...copies.map(({ instruction, image }) => ({
          instruction,
          text: pinnedCopy(instruction, image, ids),
        })),
      ]),
  };
}

function readStage(
  instruction: Instruction,
  earlier: readonly Stage[],
  argumentsOf: ReadonlyMap<string, string>,
  machine: string,
): Stage {
  const { text } = instruction;
  const refuse = (why: string) => refusal(`${JSON.stringify(text.slice(0, 200))}: ${why}`);
  const [, flag, word = '', name] =
    /^FROM[ \t]+(?:--platform=(\S+)[ \t]+)?([!-~]+)(?:[ \t]+AS[ \t]+([A-Za-z0-9_][A-Za-z0-9_.-]*))?[ \t]*$/i.exec(
      text,
    ) ?? [];
  if (word === '') throw refuse('expected FROM [--platform=…] image [AS stage]');
  const resolve = (from: string) => {
    const resolved = substitute(from, argumentsOf);
    if (resolved === undefined) throw refuse(`${from} has no value from an ARG before the first FROM`);
    return resolved;
  };
  const base = resolve(word);
  const platform = flag === undefined ? undefined : resolve(flag);
  if (platform !== undefined && !/^[a-z0-9]+(?:\/[a-z0-9]+){1,2}$/.test(platform))
    throw refuse(`${JSON.stringify(platform)} is no platform`);
  if (base === 'scratch') return { instruction, name, base: { kind: 'scratch' } };
  if (earlier.some(stage => stage.name === base))
    return { instruction, name, base: { kind: 'stage', name: base } };
  if (!isImageReference(base)) throw refuse(`${JSON.stringify(base)} is no image's name`);
  const image = { name: base, ...(platform === undefined || platform === machine ? {} : { platform }) };
  return { instruction, name, base: { kind: 'image', image } };
}

function rootOf(stages: readonly Stage[]): BaseImage | undefined {
  const base = stages.at(-1)?.base;
  if (base?.kind === 'image') return base.image;
  if (base?.kind !== 'stage') return undefined;
  const below = stages.slice(0, -1);
  return rootOf(below.slice(0, below.findLastIndex(({ name }) => name === base.name) + 1));
}

interface Copy {
  instruction: Instruction;
  image: string;
}

/** What is copied from an image: what `--from` names is one unless a stage before has the name. */
function findCopies(instructions: readonly Instruction[], stages: readonly Stage[]): Copy[] {
  return instructions.flatMap(instruction => {
    const image = copiedFrom.exec(instruction.text)?.[2];
    if (image === undefined || !isImageReference(image)) return [];
    const at = stages.findLastIndex(({ instruction: { first } }) => first < instruction.first);
    return namesBefore(stages, at).has(image) ? [] : [{ instruction, image }];
  });
}

/** What the stages before one may be called by, its number among them. */
function namesBefore(stages: readonly Stage[], at: number): Set<string> {
  return new Set(
    stages
      .slice(0, Math.max(at, 0))
      .flatMap(({ name }, number) => [String(number), ...(name === undefined ? [] : [name])]),
  );
}

function pinnedCopy({ text }: Instruction, image: string, ids: ReadonlyMap<string, string>): string {
  const id = ids.get(image);
  if (id === undefined) throw new Error(`${image} has no id`);
  return text.replace(copiedFrom, (_, before: string) => before + id);
}

function pinned({ base, name }: Stage, isBuilt: boolean, ids: ReadonlyMap<string, string>): string {
  const as = name === undefined ? '' : ` AS ${name}`;
  // What comes after the target is not built; should it ever be, then on nothing.
  if (!isBuilt || base.kind === 'scratch') return `FROM scratch${as}`;
  if (base.kind === 'stage') return `FROM ${base.name}${as}`;
  const id = ids.get(labelOf(base.image));
  if (id === undefined) throw new Error(`${labelOf(base.image)} has no id`);
  return `FROM ${id}${as}`;
}

/** Line by line, so that what buildah says of lines is true of the repository's. */
function rewrite(
  containerfile: string,
  replacements: readonly { instruction: Instruction; text: string }[],
): string {
  const lines = containerfile.split('\n');
  for (const { instruction, text } of replacements) {
    const { first, last } = instruction;
    lines.fill('', first, last + 1);
    lines[first] = text;
  }
  return lines.join('\n');
}

function refusal(message: string): BuildFailure {
  return new BuildFailure(422, 'stack', message);
}
