import { isImageReference } from '@coold/runtime/image-reference';
import type { BuildFailure } from '../build-failure.ts';
import type {
  Containerfile,
  CopyInstruction,
  FromInstruction,
  Instruction,
} from '../containerfile/instruction.ts';
import { normalise } from '../containerfile/normalise.ts';
import { inRepository, quoted, refusal } from '../containerfile/refusal.ts';
import { renderContainerfile } from '../containerfile/render.ts';
import { pinAddedUrls } from '../containerfile/restrictions.ts';
import { splitStages } from '../containerfile/stages.ts';
import {
  applyInstruction,
  beginStage,
  emptyStageStart,
  readHeaderArguments,
  type StageStart,
  substitute,
} from '../containerfile/variables.ts';
import { moveVolumes } from '../containerfile/volumes.ts';
import { completeImageName, readImageName } from '../request/image-name.ts';

/** An image that a stage is built on. */
export interface BaseImage {
  /** The full name with registry and tag or digest, or an image id. */
  name: string;
  /** The platform as `--platform` names it. Absent: this machine's platform. */
  platform?: string;
}

/** Returns a text that identifies a base image, as a key and for messages. */
export function labelOf({ name, platform }: BaseImage): string {
  return platform === undefined ? name : `${name} for ${platform}`;
}

/** A base image that is in the storage, with what it gives the stages that are built on it. */
export interface FoundImage extends Partial<StageStart> {
  id: string;
  /** Its ONBUILD triggers, checked. */
  triggers?: readonly Instruction[];
}

/** The images that a Containerfile uses, and the Containerfile with those images fixed by id. */
export interface BaseImages {
  /** The base images of the stages up to the target, without duplicates. Their ONBUILD triggers are executed. */
  images: BaseImage[];
  /** Names of the images that files are copied from. Their triggers are not executed. */
  copied: string[];
  /**
   * Returns the images and stages that ONBUILD triggers copy files from. buildah reads triggers from the image and looks
   * their sources up when it executes them. By then another build may have moved a tag to an image of its own, and a short
   * name is looked for among all images of this host. Only a digest and an id cannot change.
   *
   * @param found the images of `images`, by label
   * @throws BuildFailure 422 for a source that is neither an earlier stage nor an image named by digest or id
   */
  copiedByTriggers(found: ReadonlyMap<string, FoundImage>): TriggerSources;
  /** The base image at the bottom of the image that is built. Absent where that is scratch. */
  root?: BaseImage;
  /**
   * Renders the Containerfile that buildah gets, up to the target, with images named by id. So buildah builds on the very
   * images that were checked. A FROM or a `--from` then names only an id, an earlier stage or `scratch`.
   *
   * @param found the images of `images` and `copied`, by label
   * @throws BuildFailure 422 for an instruction that cannot be rendered
   * @throws Error when `found` lacks an image
   */
  pin(found: ReadonlyMap<string, FoundImage>): string;
}

export interface TriggerSources {
  /** The full names of the images. */
  images: string[];
  /** Whether a trigger copies from a stage. buildah learns of such a stage only when it executes the trigger. */
  areStages: boolean;
}

export interface BaseOptions {
  buildArgs: Readonly<Record<string, string>>;
  target?: string;
  /** The platform of this machine, for example `linux/amd64`. */
  platform: string;
}

type Base = { kind: 'scratch' } | { kind: 'stage'; index: number } | { kind: 'image'; image: BaseImage };

interface Stage {
  from: FromInstruction & { line: number };
  instructions: readonly Instruction[];
  base: Base;
}

/** The stage or image that a `--from` names. */
type Source = { kind: 'stage'; name: string } | { kind: 'image'; name: string; written: string };

/**
 * Reads which images a Containerfile uses. Names in FROM and `--from` are resolved here and nowhere else: `pin` leaves buildah
 * nothing to resolve.
 *
 * @throws BuildFailure 422 naming the line of a FROM or `--from` that cannot be resolved
 */
export function readBaseImages(containerfile: Containerfile, options: BaseOptions): BaseImages {
  const split = splitStages(containerfile);
  const header = readHeaderArguments(split.header, options);
  const stages: Stage[] = [];
  for (const { from, instructions } of split.stages)
    stages.push({ from, instructions, base: readBase(from, stages, header, options.platform) });
  const last = stages.findIndex(({ from }, at) => (from.stage ?? String(at)) === options.target);
  const built = last < 0 ? stages : stages.slice(0, last + 1);
  const root = rootOf(built, built.length - 1);
  const labelled = built.flatMap(({ base }) =>
    base.kind === 'image' ? [[labelOf(base.image), base.image] as const] : [],
  );
  const sources = built.flatMap(({ instructions }, at) =>
    instructions.flatMap(instruction => sourceOf(instruction, built, at) ?? []),
  );
  const copied = sources.flatMap(source => (source.kind === 'image' ? [source.name] : []));
  return {
    images: [...new Map(labelled).values()],
    copied: [...new Set(copied)],
    ...(root === undefined ? {} : { root }),
    copiedByTriggers(found) {
      const asked = built.flatMap((_, at) =>
        triggersAt(built, at, found).flatMap(trigger => triggerSource(trigger, built, at) ?? []),
      );
      const images = asked.flatMap(source => (source.kind === 'image' ? [source.name] : []));
      return { images: [...new Set(images)], areStages: asked.some(({ kind }) => kind === 'stage') };
    },
    pin(found) {
      const outside = { buildArgs: options.buildArgs, header };
      const ends: StageStart[] = [];
      const instructions: Instruction[] = [...split.header];
      for (const [at, { from, base, instructions: own }] of built.entries()) {
        const image = base.kind === 'image' ? foundIn(found, base.image) : undefined;
        const begin = base.kind === 'stage' ? ends[base.index] : image;
        const values = beginStage({ ...emptyStageStart, ...begin });
        instructions.push(pinnedFrom(from, built, base, image));
        for (const trigger of triggersAt(built, at, found)) {
          triggerSource(trigger, built, at);
          applyInstruction(values, trigger, outside);
        }
        for (const instruction of moveVolumes(own)) {
          const known = normalise(pinAddedUrls(instruction, values), values.shell, inRepository);
          instructions.push(pinnedSource(known, sourceOf(instruction, built, at), found));
          applyInstruction(values, instruction, outside);
        }
        ends.push(values);
      }
      return renderContainerfile(
        { escapeCharacter: containerfile.escapeCharacter, instructions },
        inRepository,
      );
    },
  };
}

function readBase(
  { image: word, platform: flag, stage, line }: FromInstruction & { line: number },
  earlier: readonly Stage[],
  header: ReadonlyMap<string, string>,
  machine: string,
): Base {
  const refuse = (why: string) => refusal(inRepository(line), `FROM ${quoted(word)}: ${why}`);
  const resolve = (from: string) => {
    const resolved = substitute(from, header);
    if (resolved === undefined) throw refuse(`${from} has no value from an ARG before the first FROM`);
    return resolved;
  };
  const name = resolve(word);
  const platform = flag === undefined ? undefined : resolve(flag);
  if (platform !== undefined && !/^[a-z0-9]+(?:\/[a-z0-9]+){1,2}$/.test(platform))
    throw refuse(`${quoted(platform)} is no platform`);
  if (stage !== undefined && indexOf(stage.toLowerCase(), earlier, true) >= 0)
    throw refuse(`there is a stage ${stage} already`);
  if (name === 'scratch') return { kind: 'scratch' };
  const index = stageIndex(name, earlier, refuse);
  if (index >= 0) return { kind: 'stage', index };
  if (!isImageReference(name)) throw refuse(`${quoted(name)} is no image's name`);
  const image = { name: completeImageName(name) };
  return {
    kind: 'image',
    image: platform === undefined || platform === machine ? image : { ...image, platform },
  };
}

function indexOf(name: string, stages: readonly Stage[], ignoringCase = false): number {
  return stages.findIndex(({ from }) => (ignoringCase ? from.stage?.toLowerCase() : from.stage) === name);
}

/** Returns the index of the stage, or -1 when the name is no stage. buildah compares stage names by case and would look for an image; Docker ignores case. So a name in another case is refused. */
function stageIndex(name: string, stages: readonly Stage[], refuse: (why: string) => BuildFailure): number {
  const index = indexOf(name, stages);
  const alike = stages[indexOf(name.toLowerCase(), stages, true)];
  if (index < 0 && alike !== undefined) throw refuse(`write it as the stage: ${alike.from.stage}`);
  return index;
}

function rootOf(stages: readonly Stage[], at: number): BaseImage | undefined {
  const base = stages[at]?.base;
  if (base?.kind === 'image') return base.image;
  return base?.kind === 'stage' ? rootOf(stages, base.index) : undefined;
}

/**
 * Returns the stage or image that an instruction copies from, undefined for the context.
 *
 * @param at the index of the stage that holds the instruction
 */
function sourceOf(
  instruction: Instruction,
  stages: readonly Stage[],
  at: number,
  where = inRepository,
): Source | undefined {
  if (instruction.name !== 'COPY' && instruction.name !== 'ADD') return undefined;
  const from = instruction.flags.find(({ name }) => name === 'from')?.value;
  if (from === undefined) return undefined;
  const refuse = (why: string) =>
    refusal(where(instruction.line), `${instruction.name} --from=${from}: ${why}`);
  const earlier = stages.slice(0, at);
  if (/^[0-9]{1,9}$/.test(from)) {
    if (Number(from) >= at) throw refuse('there is no such stage before this one');
    return { kind: 'stage', name: String(Number(from)) };
  }
  if (stageIndex(from, earlier, refuse) >= 0) return { kind: 'stage', name: from };
  if (!isImageReference(from)) throw refuse('is neither a stage before this one nor an image');
  return { kind: 'image', name: completeImageName(from), written: from };
}

/** Returns the ONBUILD triggers that buildah executes before the first line of a stage, from its base image or base stage. */
function triggersAt(
  stages: readonly Stage[],
  at: number,
  found: ReadonlyMap<string, FoundImage>,
): readonly Instruction[] {
  const base = stages[at]?.base;
  if (base?.kind === 'image') return foundIn(found, base.image).triggers ?? [];
  if (base?.kind !== 'stage') return [];
  // The triggers of the image below that stage are not passed on: they were executed in that stage.
  const own = stages[base.index]?.instructions ?? [];
  return own.flatMap(one => (one.name === 'ONBUILD' ? [{ ...one.trigger, line: one.line }] : []));
}

/**
 * Returns the stage or image that a trigger copies from, undefined for the context.
 *
 * @param at the index of the stage that executes the trigger
 * @throws BuildFailure 422 for a source that buildah could take for another image, and for a VOLUME, which cannot be moved to
 * the end of the stage
 */
function triggerSource(trigger: Instruction, stages: readonly Stage[], at: number): Source | undefined {
  const base = stages[at]?.base;
  const where = (line: number) =>
    `${base?.kind === 'image' ? `base image ${base.image.name}: ` : inRepository(line)}ONBUILD `;
  const refuse = (why: string) => refusal(where(trigger.line), `${trigger.name}${why}`);
  if (trigger.name === 'VOLUME')
    throw refuse(
      ': a stage that is built on has none, since a step after it could reach any folder of this machine there',
    );
  const source = sourceOf(trigger, stages, at, where);
  if (source?.kind === 'image' && !isFixed(source))
    throw refuse(
      ` --from=${source.written}: expected a stage before it, or the full name of an image with its digest`,
    );
  return source;
}

/** Whether a source can only ever mean one image, whatever names other builds assign in the meantime. */
function isFixed({ name, written }: { name: string; written: string }): boolean {
  return written === name && (name.includes('@') || readImageName(name).kind === 'id');
}

function foundIn(found: ReadonlyMap<string, FoundImage>, image: BaseImage): FoundImage {
  const one = found.get(labelOf(image));
  if (one === undefined) throw new Error(`${labelOf(image)} has no id`);
  return one;
}

function pinnedFrom(
  from: FromInstruction & { line: number },
  stages: readonly Stage[],
  base: Base,
  image: FoundImage | undefined,
): Instruction {
  const { line, stage } = from;
  const named = base.kind === 'stage' ? stages[base.index]?.from.stage : image?.id;
  return { line, name: 'FROM', image: named ?? 'scratch', ...(stage === undefined ? {} : { stage }) };
}

function pinnedSource(
  instruction: Instruction,
  source: Source | undefined,
  found: ReadonlyMap<string, FoundImage>,
): Instruction {
  if (source === undefined || (instruction.name !== 'COPY' && instruction.name !== 'ADD')) return instruction;
  const value = source.kind === 'stage' ? source.name : foundIn(found, source).id;
  const copy: CopyInstruction & { line: number } = {
    ...instruction,
    flags: instruction.flags.map(flag => (flag.name === 'from' ? { name: 'from', value } : flag)),
  };
  return copy;
}
