import { writeFlag } from './flags.ts';
import { mayBeginDocument } from './here-documents.ts';
import type { Instruction, RunInstruction } from './instruction.ts';
import { judge } from './judge.ts';
import { defaultShell, normalise } from './normalise.ts';
import { readContainerfile } from './parse.ts';
import { quoted, refusal } from './refusal.ts';
import { renderContainerfile, renderInstruction } from './render.ts';
import { readMount } from './run-mounts.ts';

/**
 * What a base image asks its builds for, under the same judge as the repository's own file. buildah itself reads it from the
 * image and cannot be told not to, so nothing of it is rendered: what it could read in another way than we do is refused.
 *
 * @param triggers as the image's configuration lists them
 * @param whose what a refusal begins with
 * @throws BuildFailure 422
 */
export function readTriggers(triggers: readonly string[], whose: string): readonly Instruction[] {
  const where = () => whose;
  // buildah puts them together before it reads them, so that one may continue another.
  const { instructions, escapeCharacter } = readContainerfile(triggers.join('\n'), where);
  if (escapeCharacter !== '\\') throw refusal(whose, 'an escape character of its own is not possible');
  judge(instructions, where, { areTriggers: true });
  for (const instruction of instructions) {
    const refuse = (why: string) => refusal(whose, `${quoted(renderInstruction(instruction))}: ${why}`);
    if (instruction.name === 'VOLUME')
      throw refuse('RUN steps after it could have any folder of the host in its place');
    if (instruction.name === 'FROM' || instruction.name === 'ONBUILD' || instruction.name === 'MAINTAINER')
      throw refuse('is no trigger');
    if (instruction.name === 'RUN') checkRun(instruction, whose);
  }
  // No line may be one that buildah ends the file at.
  const normal = instructions.map(instruction => normalise(instruction, defaultShell, where));
  renderContainerfile({ escapeCharacter, instructions: normal }, where);
  return instructions;
}

/** What rendering makes harmless in a repository's own file stays here as it is. */
function checkRun({ command, flags }: RunInstruction, whose: string): void {
  if (command.form === 'shell' && mayBeginDocument(command.text))
    throw refusal(whose, `RUN ${quoted(command.text)}: << is not possible here`);
  const unnamed = flags.find(flag => readMount(flag)?.get('type') === 'cache' && !readMount(flag)?.has('id'));
  if (unnamed !== undefined)
    throw refusal(whose, `RUN ${quoted(writeFlag(unnamed))}: a cache needs an id here`);
}
