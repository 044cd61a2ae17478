import { dirname, join } from 'node:path';
import { readDesiredScaffold } from './desired-scaffold.ts';
import { joinedFileName, readJoined } from './joined-file.ts';
import { hostAddresses, readMeshLinks } from './mesh-links.ts';
import {
  type Differences,
  type OwnSettings,
  scaffoldDifferences,
  strayAddresses,
} from './scaffold-differences.ts';

/**
 * How coold's settings, and this host's own addresses, differ from what the scaffold is made of. Read anew each time: mesh.env
 * is the operator's. Never rejects.
 */
export async function readDifferences(own: OwnSettings & { meshEnv: string }): Promise<Differences> {
  const path = join(dirname(own.rulesPath), joinedFileName);
  const [desired, joined] = await Promise.all([
    readDesiredScaffold(own.meshEnv),
    readJoined(path).then(
      ({ subnets }) => subnets,
      () => [],
    ),
  ]);
  const { useless, all } = scaffoldDifferences(desired, own, joined);
  if (desired.kind !== 'named') return { useless, all };
  const links = await readMeshLinks([...desired.scaffold.subnets, ...joined]);
  return { useless, all: [...all, ...strayAddresses(desired.scaffold, links, hostAddresses())] };
}
