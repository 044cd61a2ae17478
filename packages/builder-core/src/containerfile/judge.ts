import { isImageReference } from '@coold/runtime/image-reference';
import { writeFlag } from './flags.ts';
import type {
  CopyInstruction,
  Flag,
  HealthcheckInstruction,
  Instruction,
  RunInstruction,
} from './instruction.ts';
import { quoted, refusal, type Whereabouts } from './refusal.ts';
import { readMount } from './run-mounts.ts';

export interface JudgeOptions {
  /** Whether these are a base image's triggers, which buildah reads itself. */
  areTriggers?: boolean;
}

/**
 * Refuses what no build may have, of the repository's own Containerfile or of a base image's triggers: what would have
 * buildah, which is root, reach anything but the build's context, its stages, its images and what it downloads.
 *
 * @throws BuildFailure 422
 */
export function judge(
  instructions: readonly Instruction[],
  where: Whereabouts,
  { areTriggers = false }: JudgeOptions = {},
): void {
  for (const instruction of instructions) {
    const refuse = (message: string): never => {
      throw refusal(where(instruction.line), message);
    };
    const isOnbuild = instruction.name === 'ONBUILD';
    judgeOne(isOnbuild ? instruction.trigger : instruction, areTriggers || isOnbuild, refuse);
  }
}

type Refuse = (message: string) => never;

function judgeOne(instruction: Instruction, isTrigger: boolean, refuse: Refuse): void {
  if (instruction.name === 'RUN') judgeRun(instruction, refuse);
  else if (instruction.name === 'COPY' || instruction.name === 'ADD')
    judgeCopy(instruction, isTrigger, refuse);
  else if (instruction.name === 'HEALTHCHECK') judgeHealthcheck(instruction, refuse);
}

/**
 * buildah resolves the source of a `--mount` outside any container, so a symlink in the repository or in an image, or `..`,
 * would bring any folder of the host into the step.
 */
function judgeRun({ flags }: RunInstruction, refuse: Refuse): void {
  const refused = flags.find(flag => readMount(flag) === undefined);
  if (refused !== undefined)
    refuse(
      `RUN ${quoted(writeFlag(refused))}: only --mount=type=tmpfs,target=… and --mount=type=cache,target=… are possible, the latter with a plain id or none`,
    );
}

const isSwitch = (value: string | undefined) => value === undefined || value === 'true' || value === 'false';
const isText = (value: string | undefined) => value !== undefined && value !== '';

/** What may be said of a copy; of each name whether the value may be this. Debian 12 knows the first two and `from` alone. */
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
 * buildah takes what `--from` says as a reference of any transport, after putting ARGs into it, and opens what that names
 * before it asks a policy: `containers-storage:[…]` is a store at any path, and one that lies in the repository has folders
 * of the host removed for it. Docker puts no variables into `--from` either. Where another flag of a COPY has `--from` in its
 * value, buildah does the same with that.
 */
function judgeCopy(instruction: CopyInstruction, isTrigger: boolean, refuse: Refuse): void {
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
  if (name === 'ADD') for (const source of instruction.sources) judgeSource(source, isTrigger, refuse);
}

function isSource(value: string | undefined): boolean {
  return value !== undefined && (/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(value) || isImageReference(value));
}

/**
 * The buildah of Debian 13 clones a repository that an ADD names, and takes the folder of `#branch:folder` for a path of the host
 * where it has `..` in it. It does so with what a variable makes a URL as well, so that a source which may become one has to
 * be known before the build, see added-urls.ts.
 */
function judgeSource(source: string, isTrigger: boolean, refuse: Refuse): void {
  if (!mayBeUrl(source)) return;
  if (/["'\\]/.test(source)) refuse(`ADD ${quoted(source)}: a URL has no quotes or backslashes`);
  if (isTrigger && source.includes('$')) refuse(`ADD ${quoted(source)}: a URL in ONBUILD has no variables`);
  if (!source.includes('$') && !isDownload(source)) refuse(notDownloaded(source));
}

/** Whether buildah may read a source as a URL once it has taken out quotes and put in variables. */
export function mayBeUrl(source: string): boolean {
  const [begin = ''] = source.replaceAll(/["'\\]/g, '').split('$');
  const isWhole = !source.includes('$');
  return ['http://', 'https://'].some(
    scheme => begin.startsWith(scheme) || (!isWhole && scheme.startsWith(begin)),
  );
}

/** Whether a URL names a file, and not a repository to clone. */
export function isDownload(url: string): boolean {
  return /^[!-~]+$/.test(url) && !/["'\\$]/.test(url) && !/\.git(?:#.*)?$/i.test(url);
}

export function notDownloaded(source: string): string {
  return `ADD ${quoted(source)}: only files are downloaded, no repositories: clone it in a RUN step`;
}

function judgeHealthcheck({ flags }: HealthcheckInstruction, refuse: Refuse): void {
  const known = ['interval', 'timeout', 'start-period', 'start-interval', 'retries'];
  const refused = flags.find(({ name, value }) => !known.includes(name) || !isText(value));
  if (refused !== undefined) refuse(`HEALTHCHECK ${quoted(writeFlag(refused))}: is not possible`);
}
