import type { Containerfile, FromInstruction, Instruction, WordsInstruction } from './instruction.ts';
import { inRepository, refusal } from './refusal.ts';

/** A FROM with the instructions up to the next FROM. */
export interface Stage {
  from: FromInstruction & { line: number };
  instructions: readonly Instruction[];
}

export interface Stages {
  /** The ARGs before the first FROM. */
  header: readonly (WordsInstruction & { line: number })[];
  stages: readonly Stage[];
}

/** Splits a Containerfile at its FROMs. @throws BuildFailure 422 for a file without a FROM, or with anything but ARG before the first FROM */
export function splitStages({ instructions }: Containerfile): Stages {
  const header: (WordsInstruction & { line: number })[] = [];
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const instruction of instructions) {
    const last = stages.at(-1);
    if (instruction.name === 'FROM') stages.push({ from: instruction, instructions: [] });
    else if (last !== undefined) last.instructions.push(instruction);
    else if (instruction.name === 'ARG') header.push(instruction);
    else
      throw refusal(
        inRepository(instruction.line),
        `${instruction.name}: only ARG may stand before the first FROM`,
      );
  }
  const [first] = stages;
  if (first === undefined) throw refusal(inRepository(instructions.at(-1)?.line ?? 1), 'there is no FROM');
  return { header, stages };
}
