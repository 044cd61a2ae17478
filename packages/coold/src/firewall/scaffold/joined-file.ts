import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readRegularFile, sweepStaged, writeFileAtomically } from '@coold/runtime';
import { type Cidr, cidr, outermost } from '../rule/cidr.ts';

/** The name of the file, beside the snapshots. */
export const joinedFileName = 'joined.subnets';

/** The readable content of the file of joined subnets. */
export interface JoinedFile {
  subnets: Cidr[];
  /** Describes lines that are not networks. What they should deny is unknown. */
  problem: string | undefined;
}

/** Reads the joined subnets; a missing file means there are none. @throws Error when it cannot be read */
export async function readJoined(path: string): Promise<JoinedFile> {
  const text = await readRegularFile(path).catch((error: NodeJS.ErrnoException) => {
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

/** Writes the file durably with mode 0600. Does nothing when the file says the same already. */
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
