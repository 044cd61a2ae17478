import { writeFlag } from './flags.ts';
import { mayBeginDocument } from './here-documents.ts';
import type { Command, Containerfile, Flag, Instruction } from './instruction.ts';
import { type LinePrefix, refusal } from './refusal.ts';

/** The longest line in bytes. The buildah of Debian 12 silently ends a file at a line of 64 KiB. */
export const maxLineBytes = 65_000;

/**
 * Renders the text that buildah gets: one instruction per line, its name in upper case, one space between its parts. Flags are
 * ASCII. Commands, values and names are as they were parsed.
 *
 * @throws BuildFailure 422 for a line that is too long
 */
export function renderContainerfile(
  { escapeCharacter, instructions }: Containerfile,
  where: LinePrefix,
): string {
  const lines = instructions.map(instruction => {
    const text = renderInstruction(instruction);
    if (Buffer.byteLength(text) > maxLineBytes)
      throw refusal(where(instruction.line), `${instruction.name} has more than ${maxLineBytes} bytes`);
    if (/[\n\r]/.test(text) || text.endsWith(escapeCharacter))
      throw new Error(`${instruction.name} of line ${instruction.line} is not one line`);
    return text;
  });
  const directive = escapeCharacter === '\\' ? [] : [`# escape=${escapeCharacter}`];
  return [...directive, ...lines, ''].join('\n');
}

/**
 * Renders one instruction without a line break.
 *
 * @throws Error for a command whose here-documents are not embedded yet, see normalise.ts
 */
export function renderInstruction(instruction: Instruction): string {
  switch (instruction.name) {
    case 'FROM': {
      const platform = instruction.platform === undefined ? [] : [`--platform=${instruction.platform}`];
      const stage = instruction.stage === undefined ? [] : ['AS', instruction.stage];
      return ['FROM', ...platform, instruction.image, ...stage].join(' ');
    }
    case 'RUN': {
      const { flags, command } = instruction;
      if (command.form === 'shell' && mayBeginDocument(command.text))
        throw new Error('buildah could find a here-document in this RUN');
      return flagged('RUN', flags, command);
    }
    case 'COPY':
    case 'ADD': {
      const { name, flags, json, sources, destination } = instruction;
      const words = [...sources, destination];
      return [name, ...flags.map(writeFlag), json ? JSON.stringify(words) : words.join(' ')].join(' ');
    }
    case 'ENV':
    case 'LABEL':
      return 'words' in instruction
        ? [instruction.name, ...instruction.words].join(' ')
        : [instruction.name, instruction.key, instruction.value].join(' ');
    case 'ARG':
    case 'EXPOSE':
      return [instruction.name, ...instruction.words].join(' ');
    case 'VOLUME':
      return `VOLUME ${instruction.json ? JSON.stringify(instruction.words) : instruction.words.join(' ')}`;
    case 'CMD':
    case 'ENTRYPOINT':
      return flagged(instruction.name, [], instruction.command);
    case 'SHELL':
      return `SHELL ${JSON.stringify(instruction.words)}`;
    case 'HEALTHCHECK': {
      const { flags, command } = instruction;
      return command === undefined
        ? ['HEALTHCHECK', ...flags.map(writeFlag), 'NONE'].join(' ')
        : flagged('HEALTHCHECK', flags, command, 'CMD ');
    }
    case 'USER':
    case 'WORKDIR':
    case 'STOPSIGNAL':
    case 'MAINTAINER':
      return `${instruction.name} ${instruction.text}`;
    case 'ONBUILD':
      return `ONBUILD ${renderInstruction(instruction.trigger)}`;
  }
}

function flagged(name: string, flags: readonly Flag[], command: Command, before = ''): string {
  const text = command.form === 'shell' ? command.text : JSON.stringify(command.words);
  return [name, ...flags.map(writeFlag), before + text].join(' ');
}
