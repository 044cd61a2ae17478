import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sweepStaged, writeFileAtomically } from '@coold/runtime';
import { type Cidr, cidr, outermost } from './cidr.ts';

/** The name of the file, beside the snapshots. */
export const joinedFileName = 'joined.subnets';

/** What the file of joined subnets says, as far as it can be read. */
export interface JoinedFile {
  subnets: Cidr[];
  /** Lines that are no network; what they were to deny is not known. */
  problem: string | undefined;
}

/** Reads the subnets that joined the scaffold; a file that is absent names none. @throws Error when it cannot be read */
export async function readJoined(path: string): Promise<JoinedFile> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return '';
  });
  const lines = text.split('\n').map((line, index) => ({ text: line.trim(), number: index + 1 }));
  const named = lines.filter(line => line.text !== '' && !line.text.startsWith('#'));
  const wrong = named.filter(line => cidr.parse(line.text) === undefined);
  return {
    subnets: outermost(named.flatMap(line => cidr.parse(line.text) ?? [])),
    problem:
      wrong.length === 0
        ? undefined
        : `${path}: line ${wrong.map(({ number }) => number).join(', ')}: expected ${cidr.expected}`,
  };
}

/** Writes them to last, mode 0600; nothing happens to a file that says so already. */
export async function writeJoined(path: string, subnets: readonly Cidr[]): Promise<void> {
  const wanted = outermost(subnets);
  const { subnets: there, problem } = await readJoined(path);
  if (problem === undefined && there.join() === wanted.join()) return;
  await mkdir(dirname(path), { recursive: true });
  await sweepStaged(path);
  const head =
    '# Subnets of networks that were created for a namespace: part of the default deny. Kept by coold.\n';
  await writeFileAtomically(path, head + wanted.map(subnet => `${subnet}\n`).join(''), 0o600);
}
