import { BuildFailure } from '../build-failure.ts';

/** Says where a line is, as the beginning of a sentence. */
export type Whereabouts = (line: number) => string;

export const inRepository: Whereabouts = line => `line ${line}: `;

/** 422 for a line that is not understood, or that may not stand. */
export function refusal(where: string, message: string): BuildFailure {
  return new BuildFailure(422, 'stack', `${where}${message}`);
}

/** A text of the file in a message. */
export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
