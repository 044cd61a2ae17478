import type { Message } from '@bufbuild/protobuf';
import { fieldEncoder, fieldValue, jsonCodec } from './json.ts';
import type { Verb } from './verbs.ts';

/**
 * The JSON of a verb's answer, the same on both transports: its body field, else its whole message, and null where there
 * is nothing to say.
 */
export function answerEncoder({ body, response }: Verb): (answer: Message | undefined) => unknown {
  if (response.fields.length === 0) return () => null;
  if (body === undefined) {
    const codec = jsonCodec(response);
    return answer => (answer === undefined ? null : codec.encode(answer));
  }
  const encode = fieldEncoder(body);
  return answer => {
    const value = answer === undefined ? undefined : fieldValue(answer, body);
    return value === undefined ? null : encode(value);
  };
}
