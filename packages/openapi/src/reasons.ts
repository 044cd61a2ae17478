import { type KnownReason, type Reason, reasons } from '@coold/errors';
import { jsonContent, type Schema } from './schema.ts';

/** The reasons of errors: each with its code, what it means and what the caller does about it. */
export const reasonSchema: Schema = {
  type: 'string',
  enum: reasons.map(({ word }) => word),
  description: bulletsOf(reasons),
};

/**
 * Returns the error responses of an operation, by status: each lists the reasons of that code, with what they mean.
 *
 * @param bodyOf the schema of the body of an error that has this `reason`
 */
export function errorResponses(
  words: readonly Reason[],
  bodyOf: (reason: Schema, code: number) => Schema,
): Record<string, object> {
  const byCode = Map.groupBy(
    reasons.filter(({ word }) => words.includes(word)),
    ({ code }) => code,
  );
  return Object.fromEntries(
    [...byCode].map(([code, ofCode]) => {
      const reason = {
        type: 'string',
        enum: ofCode.map(({ word }) => word),
        description: 'Why, for programs.',
      };
      return [String(code), { description: bulletsOf(ofCode), content: jsonContent(bodyOf(reason, code)) }];
    }),
  );
}

function bulletsOf(known: readonly KnownReason[]): string {
  return known
    .map(({ word, code, means, remedy }) => `- \`${word}\` (${code}): ${means}. ${remedy}.`)
    .join('\n');
}
