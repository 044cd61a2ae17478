import { getOption } from '@bufbuild/protobuf';
import { type Reason as ReasonNumber, ReasonSchema, reasonMeaning } from '@coold/proto';

/** Why a request failed, from the closed set that reason.proto declares (docs/contract.md §2). */
export type Reason = Lowercase<Exclude<keyof typeof ReasonNumber, 'UNSPECIFIED'>>;

/** A reason with its documentation. */
export interface KnownReason {
  word: Reason;
  /** Its number on the stream. */
  number: ReasonNumber;
  /** The code, which follows HTTP. */
  code: number;
  /** What happened: one sentence without its full stop. */
  means: string;
  /** What the caller does about it: one sentence without its full stop. */
  remedy: string;
}

const numbers = new Map<string, ReasonNumber>(
  ReasonSchema.values.map(({ localName, number }) => [localName.toLowerCase(), number]),
);
const isReason = (word: string): word is Reason => word !== 'unspecified' && numbers.has(word);

/** Every reason, in the order of the .proto. */
export const reasons: readonly KnownReason[] = ReasonSchema.values.flatMap(value => {
  const word = value.localName.toLowerCase();
  const { code, means, remedy } = getOption(value, reasonMeaning);
  return isReason(word) ? [{ word, number: value.number, code, means, remedy }] : [];
});
const byWord = new Map(reasons.map(reason => [reason.word, reason]));
const byNumber = new Map(reasons.map(reason => [reason.number, reason]));

/** Returns the code of a reason, which follows HTTP. */
export function codeOf(reason: Reason): number {
  return known(reason).code;
}

/** Returns the number of a reason on the stream. */
export function reasonNumber(reason: Reason): ReasonNumber {
  return known(reason).number;
}

/**
 * Reads the reason that another program sent. A program of another make sends none, and a newer one may send one that this
 * version does not know. In these cases, and where reason and code contradict each other, it is the general reason of the code.
 */
export function readReason(number: ReasonNumber, code: number): Reason {
  const given = byNumber.get(number);
  return given?.code === code ? given.word : generalReason(code);
}

/** Returns the reason that a code alone implies. */
export function generalReason(code: number): Reason {
  switch (code) {
    case 401:
      return 'unauthorized';
    case 403:
      return 'denied';
    case 404:
      return 'not_found';
    case 405:
      return 'method_not_allowed';
    case 408:
      return 'body_too_slow';
    case 409:
      return 'conflict';
    case 413:
      return 'body_too_large';
    case 415:
      return 'media_type';
    case 499:
      return 'caller_left';
    case 501:
      return 'not_supported';
    case 502:
      return 'upstream_failed';
    case 503:
      return 'unavailable';
    case 504:
      return 'dispatch_timeout';
    case 507:
      return 'no_space';
    default:
      return code >= 400 && code < 500 ? 'invalid_request' : 'internal_error';
  }
}

function known(reason: Reason): KnownReason {
  const found = byWord.get(reason);
  if (found === undefined) throw new Error(`reason.proto has no reason ${reason}`);
  return found;
}
