import { RequestError } from './request-error.ts';

/** The order in which a ref is looked for: each of `refspecs` is fetched alone, in this order; then all branches and tags. */
export interface RefSearch {
  refspecs: string[];
  /** The commit to look for among all branches and tags when the server has none of `refspecs`. */
  commit?: string;
}

const maxLength = 255;
/** A full commit id: SHA-1 or SHA-256. */
const fullSha = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i;
/** An abbreviated commit id. git accepts 4 digits or more. */
const shortSha = /^[0-9a-f]{4,63}$/i;

/**
 * Checks git_ref by git's rules for names (git-check-ref-format), so that git can only read it as a name: no leading dash, no
 * `..`, `@{`, `:`, `^`, `~`, no pattern, no space or control character.
 *
 * @returns the text itself
 * @throws RequestError naming the field
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
 * Returns where to look for a ref. As with `git clone --branch`, a branch comes before a tag of the same name. 40 or 64 hex
 * digits are a commit id and never a name; otherwise a branch with such a name could replace the commit that was asked for.
 */
export function searchFor(ref: string): RefSearch {
  if (fullSha.test(ref)) return { refspecs: [ref.toLowerCase()], commit: ref.toLowerCase() };
  if (ref === 'HEAD' || ref.startsWith('refs/')) return { refspecs: [ref] };
  const refspecs = [`refs/heads/${ref}`, `refs/tags/${ref}`];
  return shortSha.test(ref) ? { refspecs, commit: ref.toLowerCase() } : { refspecs };
}
