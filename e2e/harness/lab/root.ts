import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { acquireFileLock } from '@coold/runtime';
import { eventually } from '../eventually.ts';
import { HarnessError, type HostSystem } from '../provider.ts';
import { guestPackages } from './guest-packages.ts';
import { system } from './system.ts';

/** Where roots are kept between runs. A root is never written to after it was made: hosts see it through an overlay. */
export const defaultRootCache = '/var/cache/coold-lab';

/** The folder that a host's overlay lies over. */
export interface RootSource {
  /**
   * Returns the path of a root of this system, or of the machine's own when none is asked for. One that is not the
   * machine's is made once, which takes a minute or two, and kept.
   *
   * @throws HarnessError when it cannot be made
   */
  rootOf(wanted?: HostSystem): Promise<string>;
}

export interface RootOptions {
  cache?: string;
  packages?: readonly string[];
  /** Text of the machine's /etc/os-release. */
  osRelease?: string;
  /** Makes the root of a suite at a path. Tests put a quicker one in its place. */
  make?: (suite: string, path: string, packages: readonly string[]) => Promise<void>;
}

const suites: Record<HostSystem, string> = { 'debian-12': 'bookworm', 'debian-13': 'trixie' };

/** mmdebstrap takes 30 s on an idle machine; the mirror and the machine may be slow. */
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

/** The system that an os-release(5) text names; undefined when it is none that hosts are made of. Pure. */
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

/** A finished root has its final name: what stands under another was left by a process that was killed. */
async function madeRoot({ cache, suite, packages, make }: Wanted): Promise<string> {
  const list = createHash('sha256').update(`${process.arch}\n${packages.toSorted().join('\n')}`);
  const name = `${suite}-${list.digest('hex').slice(0, 12)}`;
  const path = join(cache, name);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  return await eventually(
    `the root of ${suite} to be made`,
    async () => {
      // Of several runs that need it at once, one makes it and the others find it.
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
