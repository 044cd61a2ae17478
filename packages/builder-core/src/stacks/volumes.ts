import { BuildFailure } from '../build-failure.ts';
import {
  type Instruction,
  isInstruction,
  readInstructions,
  readingsOf,
  readUnambiguously,
} from './containerfile-lines.ts';

const isVolume = isInstruction('VOLUME');
const isFrom = isInstruction('FROM');

/**
 * Puts each VOLUME at the end of its stage. For the RUN steps after one, buildah mounts the folder from where it finds it in
 * the stage's files, outside any container: where a part of its path has become a symlink, that is any folder of the host.
 * As with BuildKit, what RUN steps write into a volume stays in the image then, and one that is not there is not made for
 * them.
 *
 * @throws BuildFailure 422 for one that parsers read differently, or that cannot be moved
 */
export function moveVolumes(containerfile: string): string {
  const instructions = readUnambiguously(containerfile, 'VOLUME');
  if (!instructions.some(isVolume)) return containerfile;
  readUnambiguously(containerfile, 'FROM');
  const lines = containerfile.split('\n');
  let waiting: string[] = [];
  for (const instruction of instructions) {
    const { text, first, last } = instruction;
    if (isVolume(instruction)) {
      waiting.push(text);
      lines.fill('', first, last + 1);
    } else if (isFrom(instruction)) {
      lines[first] = [...waiting, lines[first]].join('\n');
      waiting = [];
    }
  }
  const moved = [...lines, ...waiting, ''].join('\n');
  const count = instructions.filter(isVolume).length;
  for (const reading of readingsOf(moved))
    if (!endStages(readInstructions(moved, reading), count))
      throw new BuildFailure(
        422,
        'stack',
        'VOLUME: cannot be put at the end of its stage, where alone it is possible: write it there, on a line of its own',
      );
  return moved;
}

/** Whether there are so many volumes, each with nothing of its stage after it but others. */
function endStages(instructions: readonly Instruction[], count: number): boolean {
  const followed = instructions.flatMap((instruction, at) =>
    isVolume(instruction) ? [instructions[at + 1]] : [],
  );
  return (
    followed.length === count && followed.every(next => next === undefined || isVolume(next) || isFrom(next))
  );
}

/** The first VOLUME that any parser would find. */
export function volumeIn(containerfile: string): string | undefined {
  return readingsOf(containerfile)
    .flatMap(reading => readInstructions(containerfile, reading))
    .find(isVolume)?.text;
}
