// A streamed command is named on the stream to its host for its request id and a number of its own. An id is free again as
// soon as its reply is over (docs/contract.md §2), while its host may still be about to answer: without the number,
// what then comes for an earlier stream, or for a dispatch that was given up, would be taken for an answer of the next.

/** In no request id. */
const separator = '~';

/** @param number that no other stream of this broker has or had */
export function streamName(requestId: string, number: number): string {
  return `${requestId}${separator}${number}`;
}

export function isStreamName(name: string): boolean {
  return name.includes(separator);
}

/** The request id in the name of a stream, for people; what is none is returned as it is. */
export function requestIdOf(name: string): string {
  return name.split(separator, 1)[0] ?? name;
}
