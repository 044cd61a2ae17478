import { BuildFailure } from '../build-failure.ts';

/** As the parsers of containerfiles know them; U+0085 is one for Go and none for a regular expression. */
const space = String.raw`[\s\u0085]`;
const runWithFlags = new RegExp(`^${space}*(?:ONBUILD${space}+)*RUN${space}+(--.*)$`, 'i');
const flag = new RegExp(`^(--\\S*)(?:${space}+|$)`);
const isBlank = new RegExp(`^${space}*(?:#.*)?$`);

/** What may be said of a mount, each at most once. */
const mountOptions: Record<string, RegExp> = {
  type: /^(?:cache|tmpfs)$/,
  id: /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/,
  target: /^\/[A-Za-z0-9_./-]*$/,
  sharing: /^(?:shared|private|locked)$/,
};

/**
 * Refuses what a RUN step would have of the host. buildah resolves the source of a `--mount` outside any container, so a
 * symlink in the repository or in an image, or `..`, would bring any folder of the host into the step.
 *
 * @throws BuildFailure 422
 */
export function checkRunFlags(containerfile: string): void {
  // Either may be the escape character of the file; that of the other reading is refused as well.
  for (const escaper of ['\\', '`'])
    for (const line of logicalLines(containerfile, escaper)) {
      const refused = refusedFlag(runWithFlags.exec(line)?.[1] ?? '');
      if (refused !== undefined)
        throw new BuildFailure(
          422,
          'stack',
          `RUN ${JSON.stringify(refused.slice(0, 200))}: only --mount=type=tmpfs,target=… and --mount=type=cache,id=…,target=… are possible, the latter with a plain id`,
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

/** Memory, or a folder of the build's own: that has a plain name, since a path would follow symlinks in another cache. */
function isHarmless(word: string): boolean {
  const [, list] = /^--mount=(.+)$/.exec(word) ?? [];
  const options = new Map<string, string>();
  for (const option of list?.split(',') ?? []) {
    const [, name = '', value = ''] = /^([a-z]+)=(.*)$/.exec(option) ?? [];
    const key = name === 'dst' || name === 'destination' ? 'target' : name;
    const values = Object.hasOwn(mountOptions, key) ? mountOptions[key] : undefined;
    if (values?.test(value) !== true || options.has(key)) return false;
    options.set(key, value);
  }
  if (options.get('target')?.split('/').includes('..') !== false) return false;
  return options.get('type') === 'tmpfs' || (options.get('type') === 'cache' && options.has('id'));
}

/** Lines with those joined that an escape character at their end continues; comments and empty lines between count for nothing. */
function logicalLines(text: string, escaper: string): string[] {
  const lines: string[] = [];
  let open: string | undefined;
  for (const line of text.split('\n')) {
    if (open !== undefined && isBlank.test(line)) continue;
    const trimmed = line.trimEnd();
    const whole = (open ?? '') + (trimmed.endsWith(escaper) ? trimmed.slice(0, -1) : line);
    open = trimmed.endsWith(escaper) ? whole : undefined;
    if (open === undefined) lines.push(whole);
  }
  return open === undefined ? lines : [...lines, open];
}
