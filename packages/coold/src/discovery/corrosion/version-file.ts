import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isObject, parseJson, sweepStaged, writeFileAtomically } from '@coold/runtime';
import type { KnownVersion } from './database-version.ts';

/** The name of the file, beside the snapshots of the firewall. */
export const versionFileName = 'corrosion-version.json';

/** @returns undefined: the file does not exist @throws Error when it cannot be read, or does not say what `writeVersion` writes */
export async function readVersion(path: string): Promise<KnownVersion | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const known = parseVersion(text);
  if (known === undefined)
    throw new Error(`${path}: expected {"actor_id":"…","version":N,"put_back":true|false}`);
  return known;
}

export async function writeVersion(path: string, known: KnownVersion): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await sweepStaged(path);
  const { actorId, version, isPutBack } = known;
  const text = JSON.stringify({ actor_id: actorId, version, put_back: isPutBack });
  await writeFileAtomically(path, `${text}\n`, 0o600);
}

function parseVersion(text: string): KnownVersion | undefined {
  const said = parseJson(text);
  if (!isObject(said)) return undefined;
  const { actor_id: actorId, version, put_back: isPutBack } = said;
  if (typeof actorId !== 'string' || actorId === '' || typeof isPutBack !== 'boolean') return undefined;
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 0) return undefined;
  return { actorId, version, isPutBack };
}
