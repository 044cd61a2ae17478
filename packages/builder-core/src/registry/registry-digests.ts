import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BuildFailure } from '../build-failure.ts';
import type { Scratch } from '../scratch.ts';
import { failureReason, runTool, type ToolResult } from '../tools/run-tool.ts';

/** Looks up in registries which digest a tag has. */
export interface RegistryDigests {
  /**
   * Looks up the digest of an image's manifest for one platform.
   *
   * @param name the full name with its tag
   * @param platform for example `linux/arm64`. undefined: the platform of this machine
   * @param authFile the path of a file with logins
   * @returns the digest, or the last lines of buildah when the registry does not provide it
   * @throws BuildFailure when buildah does not run, ChildError `aborted` when the signal aborts
   */
  of(name: string, platform: string | undefined, authFile: string): Promise<Answer>;
}

export type Answer = { digest: string } | { stderrTail: string[] };

const list = 'localhost/asked:latest';
const retryMs = 1000;
const timeoutMs = 180_000;
/** Answers of a registry that a second request would not change. */
const final =
  /unauthorized|denied|authentication required|manifest unknown|not found|no image found|blocked/i;

/**
 * Returns lookups that use a manifest list, since buildah has no command for them: when buildah adds an image to a list, it
 * looks the tag up and prints the digest, and downloads only manifest and configuration. The list is in a storage of its own
 * in the scratch folder, so nothing of it reaches the storage of the host.
 */
export function openRegistryDigests(
  scratch: Scratch,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): RegistryDigests {
  const folder = join(scratch.folder, 'asked');
  const own = { ...env, CONTAINERS_STORAGE_CONF: join(folder, 'storage.conf') };
  // The libraries read this variable only in parts of these commands, so the flag is needed, too.
  const { CONTAINERS_REGISTRIES_CONF: registries } = env;
  const flags = registries === undefined ? [] : [`--registries-conf=${registries}`];
  const buildah = (...args: string[]) =>
    runTool('buildah', [...flags, 'manifest', ...args], {
      env: own,
      stage: 'buildah',
      signal,
      cwd: scratch.folder,
      timeoutMs,
    });

  // The list is created while git fetches, which takes longer. An error is thrown where the list is needed.
  const made = makeList();
  made.catch(() => {});

  async function makeList(): Promise<void> {
    await mkdir(folder, { mode: 0o700 });
    const conf = `[storage]\ndriver = "vfs"\ngraphroot = "${folder}/root"\nrunroot = "${folder}/run"\n`;
    await writeFile(own.CONTAINERS_STORAGE_CONF, conf);
    const { code, stderrTail } = await buildah('create', '--', list);
    if (code !== 0)
      throw new BuildFailure(
        500,
        'buildah',
        `buildah cannot create a manifest list: ${failureReason(stderrTail, /^Error: /)}`,
      );
  }

  return {
    async of(name, platform, authFile) {
      await made;
      const [os, arch, variant] = platform?.split('/') ?? [];
      const args = [
        ...['add', `--authfile=${authFile}`],
        ...(os === undefined ? [] : [`--os=${os}`]),
        ...(arch === undefined ? [] : [`--arch=${arch}`]),
        ...(variant === undefined ? [] : [`--variant=${variant}`]),
        ...['--', list, `docker://${name}`],
      ];
      const first = await buildah(...args);
      const isFinal = first.code === 0 || final.test(first.stderrTail.join('\n'));
      return isFinal
        ? answerIn(first)
        : answerIn(await delay(retryMs, undefined, { signal }).then(() => buildah(...args)));
    },
  };
}

/** Reads the digest from the line `<id of the list>: <digest>`. */
function answerIn({ code, stdout, stderrTail }: ToolResult): Answer {
  const [, digest] = /^[0-9a-f]{64}: (sha256:[0-9a-f]{64})$/m.exec(stdout) ?? [];
  return code === 0 && digest !== undefined ? { digest } : { stderrTail };
}
