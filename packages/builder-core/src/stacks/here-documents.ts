import { BuildFailure } from '../build-failure.ts';
import { readInstructions, readings, space } from './containerfile-lines.ts';

const takesSome = new RegExp(`^(?:ONBUILD${space}+)*(?:RUN|COPY|ADD)${space}(.*)$`, 'is');
const begun = new RegExp(`(?:^|${space})\\d*<<-?["']?[A-Za-z_]`);

/**
 * Refuses here-documents: the buildah of Debian 12 knows none, and to a newer one their lines are no instructions, so that
 * what follows could be read otherwise by it than by us.
 *
 * @throws BuildFailure 422
 */
export function checkHereDocuments(containerfile: string): void {
  for (const reading of readings)
    for (const { text } of readInstructions(containerfile, reading)) {
      const rest = takesSome.exec(text.replaceAll('\u0130', 'i'))?.[1];
      if (rest !== undefined && begun.test(rest))
        throw new BuildFailure(
          422,
          'stack',
          `${JSON.stringify(text.slice(0, 200))}: here-documents are not possible`,
        );
    }
}
