/** A Containerfile as we understand it; what buildah gets is rendered from this, see render.ts. */
export interface Containerfile {
  /** What continues a line, and quotes a character in words; the directive `escape` names it. */
  escapeCharacter: Escape;
  instructions: readonly Instruction[];
}

export type Escape = '\\' | '`';

/** `--name` or `--name=value`; a value is printable ASCII without quotes, backslashes and spaces. */
export interface Flag {
  name: string;
  value?: string;
}

/** What a shell gets as one text, or a program as its arguments. */
export type Command = ShellCommand | ExecCommand;
export interface ShellCommand {
  form: 'shell';
  text: string;
}
export interface ExecCommand {
  form: 'exec';
  words: readonly string[];
}

/** A here-document: its lines, each with its line break, as they stand in the file. */
export interface HereDocument {
  name: string;
  content: string;
  /** `<<-`: tabs that begin a line are not part of it. */
  stripTabs: boolean;
}

export interface FromInstruction {
  name: 'FROM';
  /** May refer to ARGs before the first FROM. */
  image: string;
  platform?: string;
  stage?: string;
}

export interface RunInstruction {
  name: 'RUN';
  flags: readonly Flag[];
  command: Command;
  /** Of a command in shell form, in their order. */
  documents: readonly HereDocument[];
}

export interface CopyInstruction {
  name: 'COPY' | 'ADD';
  flags: readonly Flag[];
  /** Whether it is written as a JSON list. */
  json: boolean;
  sources: readonly string[];
  destination: string;
}

export interface PairsInstruction {
  name: 'ENV' | 'LABEL';
  /** Words with their quotes, as `name=value`. */
  words: readonly string[];
}

/** The old notation: a name, and all that follows is the value. */
export interface PairInstruction {
  name: 'ENV' | 'LABEL';
  key: string;
  value: string;
}

export interface WordsInstruction {
  name: 'ARG' | 'EXPOSE';
  /** With their quotes. */
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
  /** Absent: NONE. */
  command?: Command;
}

export interface OnbuildInstruction {
  name: 'ONBUILD';
  trigger: Instruction;
}

/** One instruction with its typed parts. */
export type Instruction = {
  /** The first of its lines, counted from 1. */
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
