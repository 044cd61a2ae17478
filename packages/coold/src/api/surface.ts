import type { Verb } from '@coold/proto';
import type { Handler } from './handler.ts';

/** A verb and what runs it. */
export interface Served {
  verb: Verb;
  handler: Handler;
}

/**
 * Joins the verbs of the .proto with their handlers, by the case they have in ServerMsg.command. The set is closed: a verb
 * without a handler, a handler without a verb, one for other messages, or one that streams where its verb does not, is a
 * mistake found at start.
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
      return [verb.commandCase, { verb, handler }];
    }),
  );
}
