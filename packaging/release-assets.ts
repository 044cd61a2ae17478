import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Architecture } from './architectures.ts';
import { pack } from './archive.ts';
import { programs } from './programs.ts';

/** What release assets of one kind of machine are made of. */
export interface Release {
  architecture: Architecture;
  version: string;
  /** The name of its folder on a host: `<version>-<digest>`. */
  name: string;
  /** Holds the programs and their runtime, and in `host/` the files that go below /usr/local/lib. */
  folder: string;
  /** The time of every file, in seconds since 1970. */
  epoch: string;
}

/**
 * Makes the release assets of one kind of machine, `<name>-linux-<architecture>.tar.gz`: each holds one file `<name>` that
 * runs as it is from /usr/local/bin. All hold the whole release, so that a host unpacks it once, for whichever starts first.
 *
 * @returns the paths of the assets
 */
export async function makeReleaseAssets(root: string, release: Release, into: string): Promise<string[]> {
  const { architecture, epoch } = release;
  const payload = join(into, `payload-${architecture.debian}.tar.gz`);
  await pack(release.folder, payload, { epoch, contentOnly: true });
  const names = programs.flatMap(({ name, otherNames = [] }) =>
    [name, ...otherNames].map(asset => ({ asset, main: name })),
  );
  const made: string[] = [];
  const folder = join(into, architecture.debian);
  await mkdir(folder);
  for (const { asset, main } of names) {
    const file = join(folder, asset);
    await writeFile(file, await head(root, release, asset, main));
    await pipeline(createReadStream(payload), createWriteStream(file, { flags: 'a' }));
    await chmod(file, 0o755);
    const archive = join(into, `${asset}-linux-${architecture.debian}.tar.gz`);
    await pack(file, archive, { epoch, compression: 'quickly' });
    await rm(file);
    made.push(archive);
  }
  await rm(payload);
  return made;
}

/** The text that a one-file program begins with; it says on which of its lines the payload begins. */
async function head(
  root: string,
  { architecture, version, name }: Release,
  asset: string,
  main: string,
): Promise<string> {
  const text = await readFile(join(root, 'packaging/one-file.sh'), 'utf8');
  const values: Record<string, string> = {
    PROGRAM: asset,
    MAIN: main,
    VERSION: version,
    RELEASE: name,
    MACHINE: architecture.machine,
    PAYLOAD: String(text.split('\n').length),
  };
  return text.replaceAll(/@([A-Z]+)@/g, (mark, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`one-file.sh has a mark ${mark} that stands for nothing`);
    return value;
  });
}
