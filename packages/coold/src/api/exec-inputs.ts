import type { InputQueue } from './stream-input.ts';
import { VerbError } from './verb-error.ts';

/** The streamed calls on REST that take input, by their request ids, for the calls that bring it. */
export interface OpenInputs {
  /** @throws VerbError 409 when the id is that of one that is open */
  add(session: string, path: string, input: InputQueue): Disposable;
  /**
   * The input of one, for one caller at a time: disposed of, the next may come.
   *
   * @param path that the call itself was made on: a session is its container's
   * @throws VerbError 404, 409
   */
  take(session: string, path: string): { input: InputQueue } & Disposable;
}

export function createOpenInputs(): OpenInputs {
  const open = new Map<string, { path: string; input: InputQueue; busy: boolean }>();
  return {
    add(session, path, input) {
      if (open.has(session))
        throw new VerbError(409, 'x-request-id: is that of a session that is open', {
          field: 'x-request-id',
        });
      open.set(session, { path, input, busy: false });
      return { [Symbol.dispose]: () => void open.delete(session) };
    },
    take(session, path) {
      const found = open.get(session);
      if (found === undefined || found.path !== path)
        throw new VerbError(404, 'session: none of that id is open there', { field: 'session' });
      if (found.busy)
        throw new VerbError(409, 'session: another call is bringing its input', { field: 'session' });
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
