import { embedDocuments, mayBeginDocument } from './here-documents.ts';
import type { Instruction, RunInstruction } from './instruction.ts';
import { refusal, type Whereabouts } from './refusal.ts';
import { normaliseMounts } from './run-mounts.ts';

/** What buildah runs a command in shell form with, unless SHELL or the base image says otherwise. */
export const defaultShell: readonly string[] = ['/bin/sh', '-c'];

/**
 * The same instruction in words that the buildahs of Debian 12 and 13 read alike, or would not read at all.
 *
 * @param shell what commands in shell form are given to at this place
 * @throws BuildFailure 422
 */
export function normalise(
  instruction: Instruction,
  shell: readonly string[],
  where: Whereabouts,
): Instruction {
  switch (instruction.name) {
    case 'RUN':
      return { line: instruction.line, ...normaliseRun(instruction, shell, where) };
    case 'COPY':
    case 'ADD':
      // It asks for layers that do not depend on each other, which the buildah of Debian 12 cannot make.
      return { ...instruction, flags: instruction.flags.filter(({ name }) => name !== 'link') };
    case 'ONBUILD':
      return { ...instruction, trigger: normalise(instruction.trigger, shell, where) };
    default:
      return instruction;
  }
}

function normaliseRun(
  instruction: RunInstruction & { line: number },
  shell: readonly string[],
  where: Whereabouts,
): RunInstruction {
  const { flags, command, documents } = instruction;
  const made: RunInstruction = { name: 'RUN', flags: normaliseMounts(flags), command, documents: [] };
  if (command.form === 'exec' || !mayBeginDocument(command.text)) return made;
  // As the arguments of a program it is nothing in which one version of buildah finds a here-document and another none.
  try {
    const words = embedDocuments(command.text, documents, shell);
    return { ...made, command: { form: 'exec', words } };
  } catch (error) {
    throw refusal(where(instruction.line), `RUN: ${error instanceof Error ? error.message : String(error)}`);
  }
}
