import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { acquireFileLock } from '@coold/runtime';
import { eventually } from '../eventually.ts';
import { HarnessError, type HostSystem } from '../provider.ts';
import { guestPackages } from './guest-packages.ts';
import { system } from './system.ts';

/** The folder that keeps roots between runs. A finished root is never written to: hosts see it through an overlay. */
export const defaultRootCache = '/var/cache/coold-lab';

/** Provides the folder below a host's overlay. */
export interface RootSource {
  /**
   * Returns the path of a root of this system; without one, the machine's own root. Another system's root is created
   * once, which takes a minute or two, and kept.
   *
   * @throws HarnessError when it cannot be created
   */
  rootOf(wanted?: HostSystem): Promise<string>;
}

export interface RootOptions {
  cache?: string;
  packages?: readonly string[];
  /** Text of the machine's /etc/os-release. */
  osRelease?: string;
  /** Creates the root of a suite at a path. Tests pass a faster function. */
  make?: (suite: string, path: string, packages: readonly string[]) => Promise<void>;
}

/** Debian's code name for each system. */
export const suites: Record<HostSystem, string> = { 'debian-12': 'bookworm', 'debian-13': 'trixie' };

/** mmdebstrap takes 30 s on an idle machine; mirror and machine may be slow. */
const makeTimeoutMs = 600_000;

export function createRootSource(options: RootOptions = {}): RootSource {
  const { cache = defaultRootCache, packages = guestPackages, make = makeRoot } = options;
  const { osRelease = readFileSync('/etc/os-release', 'utf8') } = options;
  return {
    async rootOf(wanted) {
      if (wanted === undefined || wanted === systemOf(osRelease)) return '/';
      return await madeRoot({ cache, suite: suites[wanted], packages, make });
    },
  };
}

/** Returns the system that an os-release(5) text names; undefined when hosts cannot run it. Pure. */
export function systemOf(osRelease: string): HostSystem | undefined {
  const value = (key: string) => new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(osRelease)?.[1];
  if (value('ID') !== 'debian') return undefined;
  switch (value('VERSION_ID')) {
    case '12':
      return 'debian-12';
    case '13':
      return 'debian-13';
    default:
      return undefined;
  }
}

interface Wanted {
  cache: string;
  suite: string;
  packages: readonly string[];
  make: Required<RootOptions>['make'];
}

/**
 * Creates a root, or returns the finished one. Only a finished root has the final name; other names were left by killed
 * processes.
 */
async function madeRoot({ cache, suite, packages, make }: Wanted): Promise<string> {
  const list = createHash('sha256').update(`${process.arch}\n${packages.toSorted().join('\n')}`);
  const name = `${suite}-${list.digest('hex').slice(0, 12)}`;
  const path = join(cache, name);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  return await eventually(
    `the root of ${suite} to be made`,
    async () => {
      // When several runs need the root at once, one creates it and the others find it.
      const lock = await acquireFileLock(join(cache, `.${name}.lock`));
      if (lock === undefined) return undefined;
      try {
        if (existsSync(path)) return path;
        const unfinished = `.${name}.`;
        for (const left of readdirSync(cache))
          if (left.startsWith(unfinished) && left.endsWith('.part'))
            await rm(join(cache, left), { recursive: true, force: true });
        const part = join(cache, `${unfinished}${randomBytes(4).toString('hex')}.part`);
        await make(suite, part, packages);
        await rename(part, path);
        return path;
      } finally {
        await lock.release();
      }
    },
    { timeoutMs: makeTimeoutMs, everyMs: 500 },
  );
}

/** Manuals, translations and documents are two fifths of what Debian would unpack, and no scenario reads them. */
const unwanted = ['/usr/share/man/*', '/usr/share/doc/*', '/usr/share/locale/*', '/usr/share/info/*'];

async function makeRoot(suite: string, path: string, packages: readonly string[]): Promise<void> {
  if (!existsSync('/usr/bin/mmdebstrap'))
    throw new HarnessError(
      `a host of ${suite} needs mmdebstrap, which is missing: apt-get install mmdebstrap`,
    );
  const args = [
    ...['--variant=minbase', '--mode=root', '--format=directory', `--include=${packages.join(',')}`],
    ...unwanted.map(pattern => `--dpkgopt=path-exclude=${pattern}`),
  ];
  await system('mmdebstrap', [...args, '--', suite, path], { timeoutMs: makeTimeoutMs });
}
