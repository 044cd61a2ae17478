import { errorMessage } from '@coold/runtime/unknown-values';
import { FlagError, takeFlags } from './flags.ts';
import { hasGoSpaceAtEdge, trimBlanks } from './go-space.ts';
import { mayBeginDocument, readDocuments } from './here-documents.ts';
import type {
  Command,
  Containerfile,
  CopyInstruction,
  FromInstruction,
  HealthcheckInstruction,
  Instruction,
  OnbuildInstruction,
  PairInstruction,
  PairsInstruction,
  RunInstruction,
  VolumeInstruction,
} from './instruction.ts';
import { inRepository, type LinePrefix, quoted, refusal } from './refusal.ts';
import { maxLineBytes } from './render.ts';
import { readLines, type SourceLines } from './source-lines.ts';
import { readJsonForm, splitQuoted } from './words.ts';

/** The most instructions in one file. An image has at most a few hundred layers, so more are never useful. */
const maxInstructions = 5000;

/** Where the parts of an instruction are read from. */
interface Reading {
  lines: SourceLines;
  line: number;
  /** Whether the instruction is the trigger of an ONBUILD. */
  isTrigger: boolean;
  /** @throws BuildFailure 422 naming the line */
  refuse(message: string): never;
}

/**
 * Parses a Containerfile. Text that the versions of buildah, BuildKit and this parser could read differently is refused, and
 * so are instructions that they do not know.
 *
 * @param where makes the text that a refusal begins with
 * @throws BuildFailure 422 naming the line
 */
export function readContainerfile(text: string, where: LinePrefix = inRepository): Containerfile {
  const lines = readLines(text, where);
  const instructions: Instruction[] = [];
  for (let joined = lines.next(); joined !== undefined; joined = lines.next()) {
    const { line } = joined;
    const refuse = (message: string): never => {
      throw refusal(where(line), message);
    };
    if (instructions.length >= maxInstructions) refuse(`there are more than ${maxInstructions} instructions`);
    instructions.push(readInstruction(joined.text, { lines, line, isTrigger: false, refuse }));
  }
  return { escapeCharacter: lines.escapeCharacter, instructions };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
const control = /[\u0000\v\f\r]/;

function readInstruction(text: string, reading: Reading): Instruction {
  const { line, refuse } = reading;
  if (Buffer.byteLength(text) > maxLineBytes) refuse(`${quoted(text)} has more than ${maxLineBytes} bytes`);
  // Go's trimming and its regular expressions treat these characters differently.
  if (control.test(text))
    refuse(`${quoted(text)} has a control character that parsers take for a space, or NUL`);
  const [begin = '', word = ''] = /^[ \t]*([A-Za-z]+)(?:[ \t]+|$)/.exec(text) ?? [];
  if (word === '') refuse(`${quoted(text)}: expected an instruction`);
  const rest = trimBlanks(text.slice(begin.length));
  if (hasGoSpaceAtEdge(rest)) refuse(`${quoted(text)} begins or ends in a space that is not ASCII`);
  // After spaces, the escape character does not continue the line here, but it would in the rendered text.
  if (rest.endsWith(reading.lines.escapeCharacter))
    refuse(`${quoted(text)} ends in ${reading.lines.escapeCharacter}`);
  return { line, ...readParts(word.toUpperCase(), rest, reading) };
}

type Parts<T = Instruction> = T extends unknown ? Omit<T, 'line'> : never;

function readParts(name: string, rest: string, reading: Reading): Parts {
  const { refuse } = reading;
  if (rest === '') refuse(`${name}: expected something after it`);
  const flagless = () => {
    if (rest.startsWith('--')) refuse(`${name} ${quoted(rest)}: has no flags`);
  };
  switch (name) {
    case 'FROM':
      return readFrom(rest, reading);
    case 'RUN':
      return readRun(rest, reading);
    case 'COPY':
    case 'ADD':
      return readCopy(name, rest, reading);
    case 'HEALTHCHECK':
      return readHealthcheck(rest, reading);
    case 'ONBUILD':
      flagless();
      return readOnbuild(rest, reading);
    case 'ENV':
    case 'LABEL':
      flagless();
      return readPairs(name, rest, reading);
    case 'ARG': {
      flagless();
      return { name, words: quotedWords(name, rest, reading) };
    }
    case 'EXPOSE':
      flagless();
      return { name, words: plainWords(rest) };
    case 'VOLUME': {
      flagless();
      const words = jsonForm(name, rest, reading);
      if (words?.length === 0) refuse('VOLUME: expected a folder');
      const parts: Parts<VolumeInstruction> = {
        name,
        json: words !== undefined,
        words: words ?? plainWords(rest),
      };
      return parts;
    }
    case 'CMD':
    case 'ENTRYPOINT':
      flagless();
      return { name, command: readCommand(name, rest, reading) };
    case 'SHELL': {
      flagless();
      const words = jsonForm(name, rest, reading);
      if (words === undefined || words.length === 0) return refuse('SHELL: expected a JSON list of texts');
      return { name, words };
    }
    case 'USER':
    case 'WORKDIR':
    case 'STOPSIGNAL':
    case 'MAINTAINER':
      flagless();
      return { name, text: rest };
    default:
      return refuse(`${quoted(name)} is no instruction`);
  }
}

function readFrom(text: string, reading: Reading): Parts<FromInstruction> {
  const { refuse } = reading;
  if (reading.isTrigger) refuse('FROM cannot be a trigger of ONBUILD');
  const { flags, rest } = flagsOf('FROM', text, reading);
  const [image = '', as, stage, more] = plainWords(rest);
  const named = `FROM ${quoted(text)}`;
  const [platform, other] = flags;
  const isFlagged = platform === undefined || (platform.name === 'platform' && platform.value !== undefined);
  const isNamed = as === undefined || (/^as$/i.test(as) && stage !== undefined);
  if (image === '' || more !== undefined || other !== undefined || !isFlagged || !isNamed)
    return refuse(`${named}: expected FROM [--platform=…] image [AS stage]`);
  if (!/^[!-~]+$/.test(image)) refuse(`${named}: an image's name is ASCII`);
  if (stage !== undefined && !isStageName(stage)) refuse(`${named}: ${quoted(stage)} is no name for a stage`);
  return {
    name: 'FROM',
    image,
    ...(platform?.value === undefined ? {} : { platform: platform.value }),
    ...(stage === undefined ? {} : { stage }),
  };
}

/** Whether buildah can take the text only for a stage's name: not for a stage's number, an image's id, or `scratch`. */
function isStageName(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text) && !/^(?:[0-9]+|[0-9a-f]{12,64}|scratch)$/i.test(text);
}

function readRun(text: string, reading: Reading): Parts<RunInstruction> {
  const { refuse, isTrigger, lines } = reading;
  const { flags, rest } = flagsOf('RUN', text, reading);
  const command = readCommand('RUN', rest, reading);
  if (command.form === 'exec') {
    if (command.words.length === 0) refuse('RUN: expected a command');
    return { name: 'RUN', flags, command, documents: [] };
  }
  if (isTrigger && mayBeginDocument(command.text))
    refuse(`RUN ${quoted(rest)}: << is not possible in ONBUILD`);
  const documents = attempt(`RUN ${quoted(rest)}`, reading, () => readDocuments(command.text, lines));
  return { name: 'RUN', flags, command, documents };
}

function readCopy(name: 'COPY' | 'ADD', text: string, reading: Reading): Parts<CopyInstruction> {
  const { refuse } = reading;
  const { flags, rest } = flagsOf(name, text, reading);
  const list = jsonForm(name, rest, reading);
  const words = list ?? plainWords(rest);
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2)
    return refuse(`${name} ${quoted(rest)}: expected a source and a destination`);
  if (words.some(mayBeginDocument))
    refuse(`${name} ${quoted(rest)}: here-documents are not possible here: commit the file`);
  return { name, flags, json: list !== undefined, sources: words.slice(0, -1), destination };
}

function readHealthcheck(text: string, reading: Reading): Parts<HealthcheckInstruction> {
  const { refuse } = reading;
  const { flags, rest } = flagsOf('HEALTHCHECK', text, reading);
  const [begin = '', kind = ''] = /^(NONE|CMD)(?:[ \t]+|$)/i.exec(rest) ?? [];
  const command = rest.slice(begin.length);
  const isNone = kind.toUpperCase() === 'NONE';
  if (kind === '' || isNone !== (command === ''))
    return refuse(`HEALTHCHECK ${quoted(text)}: expected NONE, or CMD and a command`);
  if (isNone) return { name: 'HEALTHCHECK', flags };
  if (hasGoSpaceAtEdge(command))
    refuse(`HEALTHCHECK ${quoted(text)} has a space that is not ASCII after CMD`);
  const read = readCommand('HEALTHCHECK', command, reading);
  if (read.form === 'exec' && read.words.length === 0) refuse('HEALTHCHECK: expected a command');
  return { name: 'HEALTHCHECK', flags, command: read };
}

function readOnbuild(text: string, reading: Reading): Parts<OnbuildInstruction> {
  const { refuse, lines } = reading;
  if (reading.isTrigger) refuse('ONBUILD cannot be a trigger of ONBUILD');
  // The image keeps only the text of the trigger, and the build that executes it uses the default escape character.
  if (lines.escapeCharacter !== '\\') refuse('ONBUILD is not possible with another escape character');
  const trigger = readInstruction(text, { ...reading, isTrigger: true });
  if (trigger.name === 'MAINTAINER') refuse('MAINTAINER cannot be a trigger of ONBUILD');
  return { name: 'ONBUILD', trigger };
}

function readPairs(
  name: 'ENV' | 'LABEL',
  text: string,
  reading: Reading,
): Parts<PairsInstruction> | Parts<PairInstruction> {
  const { refuse } = reading;
  const [, key = '', value] = /^([^ \t]+)(?:[ \t]+(.*))?$/s.exec(text) ?? [];
  if (/^[^="'\\`]+$/.test(key)) {
    if (value === undefined || hasGoSpaceAtEdge(value))
      return refuse(`${name} ${quoted(text)}: expected a value`);
    if (!/^[!-~]+$/.test(key)) refuse(`${name} ${quoted(text)}: the name is not ASCII`);
    return { name, key, value };
  }
  const words = quotedWords(name, text, reading);
  const odd = words.find(word => !word.includes('='));
  if (odd !== undefined) refuse(`${name} ${quoted(odd)}: expected name=value`);
  return { name, words };
}

function readCommand(name: string, text: string, reading: Reading): Command {
  const words = jsonForm(name, text, reading);
  return words === undefined ? { form: 'shell', text } : { form: 'exec', words };
}

function jsonForm(name: string, text: string, reading: Reading): string[] | undefined {
  return attempt(`${name} ${quoted(text)}`, reading, () => readJsonForm(text));
}

function quotedWords(name: string, text: string, reading: Reading): string[] {
  return attempt(`${name} ${quoted(text)}`, reading, () => splitQuoted(text, reading.lines.escapeCharacter));
}

function plainWords(text: string): string[] {
  return text.split(/[ \t]+/).filter(word => word !== '');
}

function flagsOf(name: string, text: string, reading: Reading): ReturnType<typeof takeFlags> {
  try {
    const taken = takeFlags(text);
    if (taken.rest === '') reading.refuse(`${name} ${quoted(text)}: expected something after its flags`);
    if (hasGoSpaceAtEdge(taken.rest))
      reading.refuse(`${name} ${quoted(text)} has a space that is not ASCII after its flags`);
    return taken;
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return reading.refuse(
      `${name} ${quoted(error.flag)}: a flag is printable ASCII, and quoted as a whole or not at all`,
    );
  }
}

function attempt<T>(what: string, { refuse }: Reading, read: () => T): T {
  try {
    return read();
  } catch (error) {
    return refuse(`${what}: ${errorMessage(error)}`);
  }
}
