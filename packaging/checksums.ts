import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { write } from './placing.ts';

/** Everything that `npm run package` makes. */
const products = /\.(?:tar\.gz|deb|cdx\.json)$/;

/** Writes SHA256SUMS, in the form that `sha256sum --check` reads, for the products in a folder. Returns its path. */
export async function writeChecksums(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter(name => products.test(name)).sort();
  const lines = await Promise.all(names.map(async name => `${await sha256(join(folder, name))}  ${name}\n`));
  const path = join(folder, 'SHA256SUMS');
  await write(path, lines.join(''));
  return path;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
