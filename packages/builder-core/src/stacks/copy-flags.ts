import { isImageReference } from '@coold/runtime/image-reference';
import { BuildFailure } from '../build-failure.ts';
import { readInstructions, readings, space } from './containerfile-lines.ts';

const copyWithFlags = new RegExp(`^(?:ONBUILD${space}+)*(?:COPY|ADD)${space}+(--.*)$`, 'is');
const flag = new RegExp(`^(--\\S*)(?:${space}+|$)`);

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
  for (const reading of readings)
    for (const { text } of readInstructions(containerfile, reading)) {
      // Go makes an i of it where it looks up an instruction.
      const refused = refusedFlag(copyWithFlags.exec(text.replaceAll('\u0130', 'i'))?.[1] ?? '');
      if (refused !== undefined)
        throw new BuildFailure(
          422,
          'stack',
          `${whose}COPY ${JSON.stringify(refused.slice(0, 200))}: --from takes the name of a stage or of an image, without a transport or a variable`,
        );
    }
}

function refusedFlag(args: string): string | undefined {
  for (let rest = args; rest.startsWith('--'); ) {
    const [whole, word = ''] = flag.exec(rest) ?? [rest, rest];
    if (!isHarmless(word)) return word;
    rest = rest.slice(whole.length);
  }
  return undefined;
}

/** buildah finds the ends of flags by single bytes, some of which, as part of another character, it takes for a space. */
function isHarmless(word: string): boolean {
  if (!/^[!-~]*$/.test(word)) return false;
  const [, from] = /^--from=(.*)$/.exec(word) ?? [];
  return from === undefined ? otherFlag.test(word) : stageName.test(from) || isImageReference(from);
}
