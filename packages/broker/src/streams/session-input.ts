import { type Failure, failure, hostNotReading, requestIdUnknown } from '@coold/errors';
import type { StreamInput } from '@coold/proto';

/** An input that was not passed on; the inputs before it were. */
export class InputError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message);
    this.name = 'InputError';
    this.failure = failure;
  }
}

/** One call with input. */
export interface InputCall {
  /**
   * Resolves when all of it was sent to the host. Stdin waits for the host's credit, so a program that does not read
   * delays only its caller.
   *
   * @throws InputError when the stream does not, or no longer, take it
   */
  send(input: StreamInput): Promise<void>;
  /** Ends this call; the next may begin. What `send` still waits for is not sent. */
  end(): void;
}

/** The input of one stream. */
export interface SessionInput {
  begin(): InputCall | Failure;
  /** The host takes input from now on, and up to `credit` bytes of stdin; 0: it never takes any. */
  open(credit: bigint): void;
  grant(credit: bigint): void;
  /** The stream has ended: waiting inputs fail with this, and later calls find no stream. */
  close(failure: Failure): void;
}

/** In bytes. A larger credit is not distinguished from no limit. */
const maxCredit = 2 ** 48;
const noStream = requestIdUnknown;

/** @param send sends one input to the host; false: the host reads too slowly */
export function createSessionInput(send: (input: StreamInput['input']) => boolean): SessionInput {
  let closed: Failure | undefined;
  let opened = false;
  let takesInput = false;
  let credit = 0;
  let eof = false;
  let current: InputCall | undefined;
  let changed = Promise.withResolvers<void>();

  function change(): void {
    changed.resolve();
    changed = Promise.withResolvers();
  }

  function handOn(input: StreamInput['input']): void {
    if (!send(input)) throw new InputError(hostNotReading);
  }

  async function sendStdin(call: InputCall, bytes: Uint8Array): Promise<void> {
    if (eof) throw new InputError(failure('input_not_taken', 'stdin: eof was sent before', 'stdin'));
    for (let from = 0; from < bytes.length; ) {
      while (credit === 0 && closed === undefined && current === call) await changed.promise;
      check(call);
      const value = bytes.subarray(from, from + credit);
      handOn({ case: 'stdin', value });
      credit -= value.length;
      from += value.length;
    }
  }

  function check(call: InputCall): void {
    if (closed !== undefined) throw new InputError(closed);
    if (current !== call) throw new InputError(noStream);
  }

  return {
    begin() {
      if (!opened || closed !== undefined) return noStream;
      if (!takesInput) return failure('input_not_taken', 'this stream takes no input');
      if (current !== undefined) return failure('input_not_taken', 'another input call is under way');
      const call: InputCall = {
        async send({ input }) {
          check(call);
          switch (input.case) {
            case 'stdin':
              return await sendStdin(call, input.value);
            case 'resize':
              return handOn(input);
            case 'eof':
              if (!eof) handOn(input);
              eof = true;
              return;
            case undefined:
          }
        },
        end() {
          if (current === call) current = undefined;
          change();
        },
      };
      current = call;
      return call;
    },
    open(granted) {
      opened = true;
      takesInput = granted > 0n;
      credit = toCredit(0, granted);
    },
    grant(granted) {
      if (takesInput) credit = toCredit(credit, granted);
      change();
    },
    close(failure) {
      closed ??= failure;
      change();
    },
  };
}

function toCredit(before: number, granted: bigint): number {
  return Math.min(before + Number(granted), maxCredit);
}
