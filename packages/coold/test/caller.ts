import { fieldEncoder, fieldValue, jsonCodec, readVerbs } from '@coold/proto';
import { createLogger } from '@coold/runtime/logger';
import type { Handler } from '../src/handler.ts';

/** For what a test does not listen to. */
export const silent = createLogger('coold', { level: 'off', components: new Map() }, false);

/** Calls handlers as a caller of either transport would, JSON in and JSON out; for tests. */
export function caller(handlers: Record<string, Handler>) {
  const verbs = readVerbs();
  return async (
    name: string,
    fields: object = {},
    signal: AbortSignal = new AbortController().signal,
  ): Promise<unknown> => {
    const [verb, handler] = [verbs.get(name), handlers[name]];
    if (verb === undefined || handler === undefined) throw new Error(`no verb ${name}`);
    const answer = await handler.run(jsonCodec(verb.request).decode(fields), signal);
    if (verb.response.fields.length === 0) return null;
    if (verb.body === undefined) return jsonCodec(verb.response).encode(answer);
    return fieldEncoder(verb.body)(fieldValue(answer, verb.body));
  };
}
