import { BuildFailure } from '../build-failure.ts';

/** Makes the beginning of a refusal's message, which says where the line is. */
export type LinePrefix = (line: number) => string;

/** Names the line of the repository's own Containerfile. */
export const inRepository: LinePrefix = line => `line ${line}: `;

/** Returns the error for a line that is not understood or not allowed: 422 at stage `stack`. */
export function refusal(where: string, message: string): BuildFailure {
  return new BuildFailure(422, 'stack', `${where}${message}`);
}

/** Quotes a text of the file for a message: as JSON, at most 200 characters of it. */
export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
