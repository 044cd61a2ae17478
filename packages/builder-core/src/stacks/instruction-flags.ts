import { BuildFailure } from '../build-failure.ts';
import { readInstructions, readings, space } from './containerfile-lines.ts';

/** What an instruction may be told by its flags. */
export interface FlagRule {
  /** Their names; the first is what a refusal calls them. */
  instructions: readonly [string, ...string[]];
  /** Whether a whole flag, from its dashes to the next space, may stand. */
  isHarmless(flag: string): boolean;
  /** What may, for whoever wrote another. */
  only: string;
}

const flag = new RegExp(`^(--\\S*)(?:${space}+|$)`);

/**
 * Refuses a Containerfile in which an instruction, ONBUILD or not, has a flag that the rule does not know as harmless, in
 * any of the ways that buildah may read its lines.
 *
 * @param whose what the message begins with
 * @throws BuildFailure 422
 */
export function refuseFlags(containerfile: string, whose: string, rule: FlagRule): void {
  const { instructions, isHarmless, only } = rule;
  const withFlags = new RegExp(`^(?:ONBUILD${space}+)*(?:${instructions.join('|')})${space}+(--.*)$`, 'is');
  for (const reading of readings)
    for (const { text } of readInstructions(containerfile, reading)) {
      // Go makes an i of it where it looks up an instruction.
      const flags = withFlags.exec(text.replaceAll('\u0130', 'i'))?.[1] ?? '';
      const refused = flagsOf(flags).find(word => !isHarmless(word));
      if (refused !== undefined)
        throw new BuildFailure(
          422,
          'stack',
          `${whose}${instructions[0]} ${JSON.stringify(refused.slice(0, 200))}: ${only}`,
        );
    }
}

/** The words with dashes that come first. */
function flagsOf(args: string): string[] {
  const words: string[] = [];
  for (let rest = args; rest.startsWith('--'); ) {
    const [whole, word = ''] = flag.exec(rest) ?? [rest, rest];
    words.push(word);
    rest = rest.slice(whole.length);
  }
  return words;
}
