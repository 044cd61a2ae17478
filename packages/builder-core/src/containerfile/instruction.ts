/** A parsed Containerfile. The text that buildah gets is rendered from this, see render.ts. */
export interface Containerfile {
  /** The character that continues a line and quotes a character in words. The directive `escape` sets it. */
  escapeCharacter: Escape;
  instructions: readonly Instruction[];
}

export type Escape = '\\' | '`';

/** `--name` or `--name=value`. The value is printable ASCII without quotes, backslashes and spaces. */
export interface Flag {
  name: string;
  value?: string;
}

/** A command: one text for a shell, or the argument vector of a program. */
export type Command = ShellCommand | ExecCommand;
export interface ShellCommand {
  form: 'shell';
  text: string;
}
export interface ExecCommand {
  form: 'exec';
  words: readonly string[];
}

/** A here-document. `content` holds its lines as they are in the file, each with its line break. */
export interface HereDocument {
  name: string;
  content: string;
  /** True for `<<-`, which removes the tabs at the beginning of each line. */
  stripTabs: boolean;
}

export interface FromInstruction {
  name: 'FROM';
  /** The image as written. It may refer to ARGs before the first FROM. */
  image: string;
  platform?: string;
  stage?: string;
}

export interface RunInstruction {
  name: 'RUN';
  flags: readonly Flag[];
  command: Command;
  /** The here-documents of a command in shell form, in order. */
  documents: readonly HereDocument[];
}

export interface CopyInstruction {
  name: 'COPY' | 'ADD';
  flags: readonly Flag[];
  /** Whether sources and destination are written as a JSON list. */
  json: boolean;
  sources: readonly string[];
  destination: string;
}

export interface PairsInstruction {
  name: 'ENV' | 'LABEL';
  /** Words of the form `name=value`, with their quotes. */
  words: readonly string[];
}

/** ENV or LABEL in the old notation: a name, and the rest of the line as its value. */
export interface PairInstruction {
  name: 'ENV' | 'LABEL';
  key: string;
  value: string;
}

export interface WordsInstruction {
  name: 'ARG' | 'EXPOSE';
  /** The words, with their quotes. */
  words: readonly string[];
}

export interface VolumeInstruction {
  name: 'VOLUME';
  json: boolean;
  words: readonly string[];
}

export interface TextInstruction {
  name: 'USER' | 'WORKDIR' | 'STOPSIGNAL' | 'MAINTAINER';
  text: string;
}

export interface CommandInstruction {
  name: 'CMD' | 'ENTRYPOINT';
  command: Command;
}

export interface ShellInstruction {
  name: 'SHELL';
  words: readonly string[];
}

export interface HealthcheckInstruction {
  name: 'HEALTHCHECK';
  flags: readonly Flag[];
  /** Absent for HEALTHCHECK NONE. */
  command?: Command;
}

export interface OnbuildInstruction {
  name: 'ONBUILD';
  trigger: Instruction;
}

/** One instruction with its typed parts. */
export type Instruction = {
  /** The first line of the instruction, counted from 1. */
  line: number;
} & (
  | FromInstruction
  | RunInstruction
  | CopyInstruction
  | PairsInstruction
  | PairInstruction
  | WordsInstruction
  | VolumeInstruction
  | TextInstruction
  | CommandInstruction
  | ShellInstruction
  | HealthcheckInstruction
  | OnbuildInstruction
);
