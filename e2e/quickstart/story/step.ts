/** A request from Laravel to the broker's socket. */
export interface Call {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  body?: object;
}

/** A verb with its fields. */
export interface Command {
  type: string;
  [field: string]: unknown;
}

/** The broker's answer. */
export interface Answer {
  status: number;
  /** The body as JSON; undefined when it was empty. */
  body: unknown;
}

/** The condition on an answer for the story to continue. */
export interface Wanted {
  /** Completes "expected …". */
  what: string;
  fits(answer: Answer): boolean;
}

export type Act =
  /** A call that is made once. */
  | { does: 'call'; call: Call; wanted: Wanted }
  /** A call that is repeated until its answer is as expected. */
  | { does: 'wait'; call: Call; wanted: Wanted }
  /** A stream that stays open during the following acts, from its first line of output on. */
  | { does: 'open'; call: Call }
  /** The end of that stream, caused by earlier acts. */
  | { does: 'close'; wanted: WantedOutput };

/** The condition on the output of the open stream. */
export interface WantedOutput {
  what: string;
  fits(output: Output): boolean;
}

/** The output lines of a program, and how it ended. */
export interface Output {
  lines: string[];
  exitCode: number | undefined;
}

/** A step of a deployment, named for the progress line. */
export interface Step {
  title: string;
  acts: readonly Act[];
}
