import { errorMessage } from '@coold/runtime/unknown-values';
import { embedDocuments, mayBeginDocument } from './here-documents.ts';
import type { CommandInstruction, Instruction, RunInstruction } from './instruction.ts';
import { type LinePrefix, refusal } from './refusal.ts';
import { normaliseMounts } from './run-mounts.ts';

/** The shell that buildah uses for a command in shell form, unless SHELL or the base image sets another. */
export const defaultShell: readonly string[] = ['/bin/sh', '-c'];

/**
 * Rewrites an instruction so that the buildah of Debian 12 and that of Debian 13 read it in the same way, and the image
 * gets what Docker's own builder would give it.
 *
 * @param shell the shell for commands in shell form at this place of the stage
 * @throws BuildFailure 422 for a here-document that cannot be rewritten
 */
export function normalise(
  instruction: Instruction,
  shell: readonly string[],
  where: LinePrefix,
): Instruction {
  switch (instruction.name) {
    case 'RUN':
      return { line: instruction.line, ...normaliseRun(instruction, shell, where) };
    case 'COPY':
    case 'ADD':
      // --link asks for layers that do not depend on each other. The buildah of Debian 12 cannot make them.
      return { ...instruction, flags: instruction.flags.filter(({ name }) => name !== 'link') };
    case 'CMD':
    case 'ENTRYPOINT':
      return { ...instruction, ...normaliseCommand(instruction, shell) };
    case 'EXPOSE':
      return { ...instruction, words: expandPorts(instruction.words) };
    case 'ONBUILD':
      // The shell for a trigger is that of the build which executes the trigger.
      return { ...instruction, trigger: normalise(instruction.trigger, defaultShell, where) };
    default:
      return instruction;
  }
}

/** Writes CMD or ENTRYPOINT in exec form where SHELL changed the shell: buildah applies SHELL to RUN steps only. */
function normaliseCommand(
  { name, command }: CommandInstruction,
  shell: readonly string[],
): CommandInstruction {
  const isDefault =
    shell.length === defaultShell.length && shell.every((word, at) => word === defaultShell[at]);
  if (command.form === 'exec' || isDefault) return { name, command };
  return { name, command: { form: 'exec', words: [...shell, command.text] } };
}

function normaliseRun(
  instruction: RunInstruction & { line: number },
  shell: readonly string[],
  where: LinePrefix,
): RunInstruction {
  const { flags, command, documents } = instruction;
  const made: RunInstruction = { name: 'RUN', flags: normaliseMounts(flags), command, documents: [] };
  if (command.form === 'exec' || !mayBeginDocument(command.text)) return made;
  // In exec form, no version of buildah looks for a here-document.
  try {
    const words = embedDocuments(command.text, documents, shell);
    return { ...made, command: { form: 'exec', words } };
  } catch (error) {
    throw refusal(where(instruction.line), `RUN: ${errorMessage(error)}`);
  }
}

/** The largest number of words of one EXPOSE. A range stays a range where expanding it would give more: the line would be too long. */
const maxPorts = 1000;

/** Expands the port ranges of an EXPOSE into single ports, as Docker does. buildah would take a range for one port. */
function expandPorts(words: readonly string[]): readonly string[] {
  const expanded = words.flatMap(word => rangeIn(word)?.ports ?? [word]);
  return expanded.length > maxPorts ? words : expanded;
}

/** Returns the ports of a range, or undefined when the word is no range or holds variables. */
function rangeIn(word: string): { ports: string[] } | undefined {
  const [, first, last, protocol = ''] = /^([0-9]{1,5})-([0-9]{1,5})(\/(?:tcp|udp|sctp))?$/i.exec(word) ?? [];
  const [begin, end] = [Number(first), Number(last)];
  if (first === undefined || begin > end || end > 65_535) return undefined;
  return { ports: Array.from({ length: end - begin + 1 }, (_, at) => `${begin + at}${protocol}`) };
}
