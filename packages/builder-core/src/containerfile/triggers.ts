import { writeFlag } from './flags.ts';
import { mayBeginDocument } from './here-documents.ts';
import type { Instruction, RunInstruction } from './instruction.ts';
import { defaultShell, normalise } from './normalise.ts';
import { readContainerfile } from './parse.ts';
import { quoted, refusal } from './refusal.ts';
import { renderContainerfile, renderInstruction } from './render.ts';
import { checkRestrictions } from './restrictions.ts';
import { readMount } from './run-mounts.ts';

/**
 * Reads the ONBUILD triggers of a base image and checks them like the repository's own file. buildah reads triggers from the
 * image and cannot be told to skip them, so they cannot be rewritten: text that buildah could read differently is refused.
 *
 * @param triggers the triggers as the image's configuration lists them
 * @param whose the text that a refusal begins with
 * @throws BuildFailure 422 for a trigger that is not allowed
 */
export function readTriggers(triggers: readonly string[], whose: string): readonly Instruction[] {
  const where = () => whose;
  // buildah joins the triggers before it parses them, so one trigger may continue another.
  const { instructions, escapeCharacter } = readContainerfile(triggers.join('\n'), where);
  if (escapeCharacter !== '\\') throw refusal(whose, 'a trigger cannot set the escape character');
  checkRestrictions(instructions, where, { areTriggers: true });
  for (const instruction of instructions) {
    const refuse = (why: string) => refusal(whose, `${quoted(renderInstruction(instruction))}: ${why}`);
    if (instruction.name === 'VOLUME')
      throw refuse('RUN steps after it could have any folder of the host in its place');
    if (instruction.name === 'FROM' || instruction.name === 'ONBUILD' || instruction.name === 'MAINTAINER')
      throw refuse('cannot be a trigger');
    if (instruction.name === 'RUN') checkRun(instruction, whose);
  }
  // Rendering refuses a line that is so long that buildah would end the file there.
  const normal = instructions.map(instruction => normalise(instruction, defaultShell, where));
  renderContainerfile({ escapeCharacter, instructions: normal }, where);
  return instructions;
}

/** Refuses mounts and here-documents that rendering would rewrite in the repository's own file: triggers are not rendered. */
function checkRun({ command, flags }: RunInstruction, whose: string): void {
  if (command.form === 'shell' && mayBeginDocument(command.text))
    throw refusal(whose, `RUN ${quoted(command.text)}: << is not possible here`);
  const mounts = flags.map(flag => ({ flag, mount: readMount(flag) }));
  const shared = mounts.find(({ mount }) => mount?.has('sharing'));
  if (shared !== undefined)
    throw refusal(
      whose,
      `RUN ${quoted(writeFlag(shared.flag))}: with sharing, a cache is opened by a name that a step before may have made a symlink`,
    );
  const unnamed = mounts.find(({ mount }) => mount?.get('type') === 'cache' && !mount.has('id'));
  if (unnamed !== undefined)
    throw refusal(whose, `RUN ${quoted(writeFlag(unnamed.flag))}: a cache needs an id here`);
}
