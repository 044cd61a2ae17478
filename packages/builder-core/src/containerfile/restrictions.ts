import { isImageReference } from '@coold/runtime/image-reference';
import { writeFlag } from './flags.ts';
import type {
  CopyInstruction,
  Flag,
  HealthcheckInstruction,
  Instruction,
  RunInstruction,
} from './instruction.ts';
import { inRepository, type LinePrefix, quoted, refusal } from './refusal.ts';
import { readMount } from './run-mounts.ts';
import { resolve, type StageValues } from './variables.ts';

export interface RestrictionOptions {
  /** True for the ONBUILD triggers of a base image, which buildah reads from the image itself. */
  areTriggers?: boolean;
}

/**
 * Refuses instructions that no build may use, in the repository's own Containerfile or in the triggers of a base image.
 * buildah runs as root. It must reach only the build's context, its stages, its images, and files that it downloads.
 *
 * @param where makes the text that a refusal begins with, from the line of the instruction
 * @throws BuildFailure 422 naming the first instruction that is refused
 */
export function checkRestrictions(
  instructions: readonly Instruction[],
  where: LinePrefix,
  { areTriggers = false }: RestrictionOptions = {},
): void {
  for (const instruction of instructions) {
    const refuse = (message: string): never => {
      throw refusal(where(instruction.line), message);
    };
    const isOnbuild = instruction.name === 'ONBUILD';
    checkInstruction(isOnbuild ? instruction.trigger : instruction, areTriggers || isOnbuild, refuse);
  }
}

type Refuse = (message: string) => never;

function checkInstruction(instruction: Instruction, isTrigger: boolean, refuse: Refuse): void {
  if (instruction.name === 'RUN') checkRun(instruction, refuse);
  else if (instruction.name === 'COPY' || instruction.name === 'ADD')
    checkCopy(instruction, isTrigger, refuse);
  else if (instruction.name === 'HEALTHCHECK') checkHealthcheck(instruction, refuse);
}

/**
 * Refuses every mount but an empty cache and a tmpfs. buildah resolves the source of a `--mount` outside any container, so a
 * symlink in the repository or in an image, or `..`, would bring any folder of the host into the step.
 */
function checkRun({ flags }: RunInstruction, refuse: Refuse): void {
  const refused = flags.find(flag => readMount(flag) === undefined);
  if (refused !== undefined)
    refuse(
      `RUN ${quoted(writeFlag(refused))}: only --mount=type=tmpfs,target=… and --mount=type=cache,target=… are possible, the latter with a plain id or none`,
    );
}

const isSwitch = (value: string | undefined) => value === undefined || value === 'true' || value === 'false';
const isText = (value: string | undefined) => value !== undefined && value !== '';

/** The flags of COPY and ADD, each with a check of its value. The buildah of Debian 12 knows only `chown`, `chmod` and `from`. */
const copyFlags: Record<string, (value: string | undefined) => boolean> = {
  chown: isText,
  chmod: isText,
  link: isSwitch,
  exclude: isText,
};
const flagsOf: Record<CopyInstruction['name'], Record<string, (value: string | undefined) => boolean>> = {
  COPY: { ...copyFlags, from: isSource, parents: isSwitch },
  ADD: { ...copyFlags, checksum: isText, 'keep-git-dir': isSwitch },
};

/**
 * Refuses flags that could lead buildah out of the build. buildah substitutes ARGs in the value of `--from`, reads the result
 * as a reference of any transport, and opens it before it asks the policy. `containers-storage:[…]` names a store at any
 * path, and a store inside the repository can make buildah remove folders of the host. Docker does not substitute variables
 * in `--from` either. buildah treats `--from` inside the value of another COPY flag in the same way.
 */
function checkCopy(instruction: CopyInstruction, isTrigger: boolean, refuse: Refuse): void {
  const { name, flags } = instruction;
  const named = (flag: Flag) => `${name} ${quoted(writeFlag(flag))}`;
  for (const flag of flags) {
    const isFit = Object.hasOwn(flagsOf[name], flag.name) ? flagsOf[name][flag.name] : undefined;
    if (isFit === undefined) refuse(`${named(flag)}: is not possible`);
    if (flag.name === 'from' && isFit?.(flag.value) !== true)
      refuse(
        `${named(flag)}: --from takes the name of a stage or of an image, without a transport or a variable`,
      );
    if (isFit?.(flag.value) !== true || flag.value?.includes('--from') === true)
      refuse(`${named(flag)}: has another value than it may`);
  }
  if (flags.filter(flag => flag.name === 'from').length > 1) refuse(`${name}: --from is given twice`);
  if (name === 'ADD') for (const source of instruction.sources) checkAddSource(source, isTrigger, refuse);
}

function isSource(value: string | undefined): boolean {
  return value !== undefined && (/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(value) || isImageReference(value));
}

/**
 * Refuses an ADD source that buildah would clone. The buildah of Debian 13 clones a repository that an ADD names, and reads
 * the folder in `#branch:folder` as a path of the host where it holds `..`. It also clones where a variable makes the URL,
 * so the value of such a variable must be known before the build: pinAddedUrls replaces it.
 */
function checkAddSource(source: string, isTrigger: boolean, refuse: Refuse): void {
  if (!mayBeUrl(source)) return;
  if (/["'\\]/.test(source)) refuse(`ADD ${quoted(source)}: a URL has no quotes or backslashes`);
  if (isTrigger && source.includes('$')) refuse(`ADD ${quoted(source)}: a URL in ONBUILD has no variables`);
  if (!source.includes('$') && !isDownload(source)) refuse(notDownloaded(source));
}

/** Whether buildah may read a source as a URL after it has removed quotes and substituted variables. */
function mayBeUrl(source: string): boolean {
  const [begin = ''] = source.replaceAll(/["'\\]/g, '').split('$');
  const isWhole = !source.includes('$');
  return ['http://', 'https://'].some(
    scheme => begin.startsWith(scheme) || (!isWhole && scheme.startsWith(begin)),
  );
}

/** Whether a URL names a file to download, and not a repository to clone. */
function isDownload(url: string): boolean {
  return /^[!-~]+$/.test(url) && !/["'\\$]/.test(url) && !/\.git(?:#.*)?$/i.test(url);
}

/** The text that refuses an ADD of a repository. */
function notDownloaded(source: string): string {
  return `ADD ${quoted(source)}: only files are downloaded, no repositories: clone it in a RUN step`;
}

function checkHealthcheck({ flags }: HealthcheckInstruction, refuse: Refuse): void {
  const known = ['interval', 'timeout', 'start-period', 'start-interval', 'retries'];
  const refused = flags.find(({ name, value }) => !known.includes(name) || !isText(value));
  if (refused !== undefined) refuse(`HEALTHCHECK ${quoted(writeFlag(refused))}: is not possible`);
}

/**
 * Replaces the variables in the URLs of an ADD, so that buildah downloads exactly the URL that was checked. Other
 * instructions are returned as they are.
 *
 * @param values the values of variables at this place of the stage
 * @throws BuildFailure 422 where a variable has no value that is known before the build, or where the URL names a repository
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
