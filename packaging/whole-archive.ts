import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { brokerCommand } from '@coold/broker/config';
import { cooldCommand } from '@coold/coold/config';
import { scaffoldCommand } from '@coold/coold/scaffold-command';
import type { Architecture } from './architectures.ts';
import { pack } from './archive.ts';
import { environmentFile } from './environment-file.ts';
import { copyAll, copyTree, write } from './placing.ts';
import { programs } from './programs.ts';
import { fillLib, type Made, thirdPartyLicences, writeSbom } from './release.ts';

/**
 * Makes the archive that a host installs from, `coold-<version>-linux-<architecture>.tar.gz`, and beside it its bill of materials.
 *
 * @returns the paths of both
 */
export async function makeArchive(made: Made, architecture: Architecture, work: string): Promise<string[]> {
  const name = `coold-${made.version}-linux-${architecture.node}`;
  const folder = join(work, name);
  const lib = join(folder, 'lib');
  const release = await fillLib(lib, made, architecture);
  await write(join(folder, 'RELEASE'), `${release}\n`);
  await write(join(folder, 'ARCH'), `${architecture.machine}\n`);
  await write(join(folder, 'programs'), programs.map(it => `${it.name} ${it.role}\n`).join(''));
  await write(join(folder, 'THIRD-PARTY-LICENCES'), await thirdPartyLicences(lib));
  await writeSbom(made, architecture, join(folder, 'sbom.cdx.json'));
  await fillArchive(made.root, folder);
  const archive = join(work, `${name}.tar.gz`);
  const sbom = join(work, `${name}.cdx.json`);
  await copyFile(join(folder, 'sbom.cdx.json'), sbom);
  await pack(folder, archive, { epoch: made.epoch });
  return [archive, sbom];
}

/** What the archive holds beside the programs. */
async function fillArchive(root: string, folder: string): Promise<void> {
  await copyAll(join(root, 'systemd'), join(folder, 'systemd'), /\.service$|\.sh$|\.conf$/);
  await copyAll(join(root, 'packaging/corrosion'), join(folder, 'corrosion'), /\.sql$|\.toml$/);
  const etc = join(folder, 'etc');
  await mkdir(etc);
  await write(join(etc, 'coold.env'), environmentFile(cooldCommand));
  await write(join(etc, 'broker.env'), environmentFile(brokerCommand));
  await write(join(etc, 'mesh.env'), environmentFile(scaffoldCommand));
  await copyAll(root, folder, /^(?:LICENSE|README\.md|CHANGELOG\.md|CONTRIBUTING\.md|SECURITY\.md)$/);
  // The pages that README.md leads to, and the dashboards.
  await copyTree(join(root, 'docs'), join(folder, 'docs'));
  await copyAll(join(root, 'packaging'), folder, /^(?:un)?install\.sh$/);
}
