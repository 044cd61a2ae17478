import type { Instruction } from './instruction.ts';
import { inRepository, refusal } from './refusal.ts';

/**
 * Moves the VOLUMEs of a stage to its end. For RUN steps after a VOLUME, buildah mounts the folder from the stage's files,
 * outside any container: where a part of its path has become a symlink, that is any folder of the host. With VOLUMEs at the
 * end, files that RUN steps write into a volume stay in the image, and a missing folder is not created for them. BuildKit
 * behaves in the same way.
 *
 * @throws BuildFailure 422 for a VOLUME whose variables have another value at the end of the stage
 */
export function moveVolumes(instructions: readonly Instruction[]): Instruction[] {
  const kept: Instruction[] = [];
  const moved: Instruction[] = [];
  const changed = new Set<string>();
  for (const instruction of instructions.toReversed()) {
    if (instruction.name !== 'VOLUME') {
      kept.push(instruction);
      for (const name of namesIn(instruction)) changed.add(name);
      continue;
    }
    const used = instruction.words.flatMap(word => [...word.matchAll(/\$\{?([A-Za-z_][A-Za-z0-9_]*)/g)]);
    const name = used.map(([, found = '']) => found).find(found => changed.has(found));
    if (name !== undefined)
      throw refusal(
        inRepository(instruction.line),
        `VOLUME: $${name} is given another value later in its stage, at whose end alone a volume is possible`,
      );
    moved.push(instruction);
  }
  return [...kept.reverse(), ...moved.reverse()];
}

/** Returns the names of the variables that an instruction sets. */
function namesIn(instruction: Instruction): string[] {
  if (instruction.name !== 'ENV' && instruction.name !== 'ARG') return [];
  if ('key' in instruction) return [instruction.key];
  return instruction.words.map(word => word.split('=')[0] ?? '');
}
