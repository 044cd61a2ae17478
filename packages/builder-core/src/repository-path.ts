import { RequestError } from './request-error.ts';

const maxLength = 1024;

/**
 * A path inside the repository as a request may name it: relative, and not upwards. Where its symlinks lead is another
 * matter, see resolveInside.
 *
 * @throws RequestError
 */
export function checkRepositoryPath(text: string, field: string): string {
  const parts = text.split('/');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
  const unfit = text === '' || text.length > maxLength || /[\u0000-\u001f\u007f]/.test(text);
  if (unfit || parts[0] === '' || parts.includes('..'))
    throw new RequestError(
      field,
      `expected a path inside the repository, relative, without "..", at most ${maxLength} characters`,
    );
  return text;
}
