import { isImageReference } from '@coold/runtime/image-reference';
import { refuseFlags } from './instruction-flags.ts';

/** A stage, by its name or number. */
const stageName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
/** Any other flag, in notation that cannot be read as `--from`, or as two. */
const otherFlag = /^--(?!from)[a-z]+(?:=(?:[^"'\\]*|"[^"'\\]*"|'[^"'\\]*'))?$/;

/**
 * Refuses a COPY or ADD from anything but a stage or an image. buildah takes what `--from` says as a reference of any
 * transport, after putting ARGs into it, and opens what that names before it asks a policy: `containers-storage:[…]` is a
 * store at any path, and one that lies in the repository has folders of the host removed for it. Docker puts no variables
 * into `--from` either.
 *
 * @param whose what the message begins with
 * @throws BuildFailure 422
 */
export function checkCopyFlags(containerfile: string, whose = ''): void {
  refuseFlags(containerfile, whose, {
    instructions: ['COPY', 'ADD'],
    isHarmless,
    only: '--from takes the name of a stage or of an image, without a transport or a variable',
  });
}

/** buildah finds the ends of flags by single bytes, some of which, as part of another character, it takes for a space. */
function isHarmless(word: string): boolean {
  if (!/^[!-~]*$/.test(word)) return false;
  const [, from] = /^--from=(.*)$/.exec(word) ?? [];
  return from === undefined ? otherFlag.test(word) : stageName.test(from) || isImageReference(from);
}
