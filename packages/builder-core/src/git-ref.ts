import { RequestError } from './request-error.ts';

/** How a ref is looked for: each of `refspecs` is asked for by itself, in this order, then every branch and tag. */
export interface RefSearch {
  refspecs: string[];
  /** A commit to look for among everything that branches and tags reach, when none of `refspecs` is there. */
  commit?: string;
}

const maxLength = 255;
/** Of SHA-1 or SHA-256. */
const fullSha = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i;
/** git's own minimum is 4. */
const shortSha = /^[0-9a-f]{4,63}$/i;

/**
 * Reads git_ref by git's rules for names (git-check-ref-format), so that it can be nothing but a name: no leading dash, no
 * `..`, `@{`, `:`, `^`, `~`, no pattern, no space or control character.
 *
 * @throws RequestError
 */
export function checkGitRef(text: string, field: string): string {
  const parts = text.split('/');
  const fits =
    text.length >= 1 &&
    text.length <= maxLength &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
    !/[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\.$|^@$|^-/.test(text) &&
    text.isWellFormed() &&
    parts.every(part => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'));
  if (!fits)
    throw new RequestError(
      field,
      `expected a branch, a tag, or a full or short commit id, at most ${maxLength} characters`,
    );
  return text;
}

/**
 * Where to look for a ref: as `git clone --branch` does, a branch comes before a tag of the same name. Forty hex digits,
 * or 64, are a commit and never a name, or a branch so named would stand in for the commit that was asked for.
 */
export function searchFor(ref: string): RefSearch {
  if (fullSha.test(ref)) return { refspecs: [ref.toLowerCase()], commit: ref.toLowerCase() };
  if (ref === 'HEAD' || ref.startsWith('refs/')) return { refspecs: [ref] };
  const refspecs = [`refs/heads/${ref}`, `refs/tags/${ref}`];
  return shortSha.test(ref) ? { refspecs, commit: ref.toLowerCase() } : { refspecs };
}
