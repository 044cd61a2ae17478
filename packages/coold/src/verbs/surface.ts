import type { Verb } from '@coold/proto';
import type { Handler } from '../handler.ts';

/** A verb with its handler. */
export interface Served {
  verb: Verb;
  handler: Handler;
}

/**
 * Joins the verbs of the .proto with their handlers, by their case in ServerMsg.command. The set is closed: at start
 * this reports a verb without a handler, a handler without a verb, wrong message types, and streaming forms that do not
 * match.
 */
export function joinSurface(
  verbs: ReadonlyMap<string, Verb>,
  handlers: Record<string, Handler>,
): ReadonlyMap<string, Served> {
  const orphan = Object.keys(handlers).find(name => !verbs.has(name));
  if (orphan !== undefined) throw new Error(`handler ${orphan} has no verb in agent.proto`);
  return new Map(
    [...verbs.values()].map(verb => {
      const handler = handlers[verb.name];
      if (handler === undefined) throw new Error(`verb ${verb.name} has no handler`);
      if (handler.request !== verb.request || handler.response !== verb.response)
        throw new Error(`handler ${verb.name} is for other messages than agent.proto says`);
      if (verb.streams !== (handler.stream !== undefined))
        throw new Error(
          `handler ${verb.name} ${verb.streams ? 'cannot stream' : 'streams'}, against agent.proto`,
        );
      if (verb.takesInput !== (handler.stream?.takesInput ?? false))
        throw new Error(
          `handler ${verb.name} ${verb.takesInput ? 'takes no input' : 'takes input'}, against agent.proto`,
        );
      return [verb.commandCase, { verb, handler }];
    }),
  );
}
