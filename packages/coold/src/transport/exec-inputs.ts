import { VerbError } from '@coold/errors';
import type { InputQueue } from '../stream-input.ts';

/** The open REST streams that take input, by request id, for the calls that deliver it. */
export interface OpenInputs {
  /** @throws VerbError 409 when the id belongs to an open stream */
  add(session: string, path: string, input: InputQueue): Disposable;
  /**
   * Opens the input of a stream for one caller at a time; disposing admits the next.
   *
   * @param path of the stream's own call, since a session belongs to its container
   * @throws VerbError 404, 409
   */
  take(session: string, path: string): { input: InputQueue } & Disposable;
}

export function createOpenInputs(): OpenInputs {
  const open = new Map<string, { path: string; input: InputQueue; busy: boolean }>();
  return {
    add(session, path, input) {
      if (open.has(session))
        throw new VerbError('request_id_in_flight', 'x-request-id: is that of a session that is open', {
          field: 'x-request-id',
        });
      open.set(session, { path, input, busy: false });
      return { [Symbol.dispose]: () => void open.delete(session) };
    },
    take(session, path) {
      const found = open.get(session);
      if (found === undefined || found.path !== path)
        throw new VerbError('session_not_found', 'session: no session with this id is open there', {
          field: 'session',
        });
      if (found.busy)
        throw new VerbError('input_not_taken', 'session: another call is bringing its input', {
          field: 'session',
        });
      found.busy = true;
      return {
        input: found.input,
        [Symbol.dispose]() {
          found.busy = false;
        },
      };
    },
  };
}
