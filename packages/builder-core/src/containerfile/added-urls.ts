import type { Instruction } from './instruction.ts';
import { isDownload, mayBeUrl, notDownloaded } from './judge.ts';
import { inRepository, quoted, refusal } from './refusal.ts';
import { resolve, type StageValues } from './stage-values.ts';

/**
 * The same instruction without variables in what an ADD may download, so that what buildah downloads is what was looked at.
 *
 * @throws BuildFailure 422 where a variable has no value that is known before the build, or makes a repository of it
 */
export function pinAddedUrls(instruction: Instruction, values: StageValues): Instruction {
  if (instruction.name !== 'ADD') return instruction;
  const refuse = (message: string) => refusal(inRepository(instruction.line), message);
  const sources = instruction.sources.map(source => {
    if (!source.includes('$') || !mayBeUrl(source)) return source;
    const resolved = resolve(source, values);
    if (resolved === undefined)
      throw refuse(
        `ADD ${quoted(source)}: a URL has variables only of ARG and ENV, in the notation $NAME or \${NAME}`,
      );
    if (!/^[!-~]+$/.test(resolved) || /["'\\$]/.test(resolved))
      throw refuse(`ADD ${quoted(source)}: is ${quoted(resolved)}: write that out`);
    if (!isDownload(resolved)) throw refuse(notDownloaded(resolved));
    return resolved;
  });
  return { ...instruction, sources };
}
