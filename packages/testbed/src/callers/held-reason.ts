import { reasons } from '@coold/errors';

const codes = new Map<unknown, number>(reasons.map(({ word, code }) => [word, code]));

/**
 * Holds that what a broker or a coold answered has a reason of the closed set, with the code that goes with it, where it is
 * an error: an envelope, the last line of a stream, or with `status` an error on REST.
 *
 * @param status of HTTP, where it is the code
 * @throws Error that shows the answer
 */
export function holdReason(answer: unknown, status?: number): void {
  if (typeof answer !== 'object' || answer === null) return;
  const { code = status, reason, ...others }: Record<string, unknown> = { ...answer };
  const isError = others['status'] === 'error' || ('error' in others && code !== undefined);
  if (!isError) return;
  const expected = codes.get(reason);
  // What is no HTTP at all has a status of HTTP's own: 431 for its headers.
  const isOfHttp = reason === 'invalid_request' && typeof code === 'number' && code >= 400 && code < 500;
  if (expected === undefined || (expected !== code && !isOfHttp))
    throw new Error(`expected a known reason with its code in ${JSON.stringify(answer)}`);
}
