import { createHash } from 'node:crypto';
import type { InstalledPackage } from './licences.ts';

/** What a bill of materials is made from. */
export interface Materials {
  version: string;
  commit: string;
  /** In seconds since 1970. */
  epoch: string;
  /** What the bundles were made of. */
  packages: readonly InstalledPackage[];
  /** The text of pnpm-lock.yaml, for the packages' hashes. */
  pnpmLock: string;
  /** The text of toolchain/package-lock.json, for Node's. */
  toolchainLock: string;
  /** As Node says it: x64 or arm64. */
  architecture: string;
  /** `process.versions` of that Node: itself, and what is built into it. */
  nodeVersions: Readonly<Record<string, string | undefined>>;
  /** The version of the Debian package that libatomic is from. */
  libatomic: string;
}

interface Component {
  type: 'application' | 'library';
  'bom-ref': string;
  group?: string;
  name: string;
  version: string;
  hashes?: { alg: 'SHA-512'; content: string }[];
  licenses?: { expression: string }[];
  purl: string;
}

/** What is built into Node, by its name in `process.versions`; its other entries are numbers of interfaces or tables. */
const builtIntoNode: Readonly<Record<string, string>> = {
  acorn: 'MIT',
  ada: 'MIT OR Apache-2.0',
  amaro: 'MIT',
  ares: 'MIT',
  brotli: 'MIT',
  cjs_module_lexer: 'MIT',
  icu: 'Unicode-3.0',
  llhttp: 'MIT',
  nbytes: 'MIT',
  ncrypto: 'MIT',
  nghttp2: 'MIT',
  nghttp3: 'MIT',
  ngtcp2: 'MIT',
  openssl: 'Apache-2.0',
  simdjson: 'Apache-2.0',
  simdutf: 'MIT OR Apache-2.0',
  sqlite: 'blessing',
  undici: 'MIT',
  uv: 'MIT',
  uvwasi: 'MIT',
  v8: 'BSD-3-Clause',
  zlib: 'Zlib',
  zstd: 'BSD-3-Clause',
};

/**
 * The bill of materials of a release, as CycloneDX 1.6 JSON: the packages that are bundled with the hashes of the lock file,
 * Node with what is built into it, and libatomic. The same materials give the same text. Pure.
 *
 * @throws Error for a package that the lock file does not have
 */
export function billOfMaterials(materials: Materials): string {
  const { version, commit, epoch, packages, pnpmLock, architecture } = materials;
  const node = nodeComponent(materials);
  const components: Component[] = [
    ...packages.map(it => packageComponent(it, pnpmLock)),
    ...[node, ...builtIn(materials.nodeVersions)],
    {
      type: 'library',
      'bom-ref': 'libatomic1',
      name: 'libatomic1',
      version: materials.libatomic,
      licenses: [{ expression: 'GPL-3.0-or-later WITH GCC-exception-3.1' }],
      purl: `pkg:deb/debian/libatomic1@${encodeURIComponent(materials.libatomic)}`,
    },
  ];
  const self: Component = {
    type: 'application',
    'bom-ref': 'coold',
    name: 'coold',
    version,
    licenses: [{ expression: 'Apache-2.0' }],
    purl: `pkg:github/coollabsio/coold@${version}`,
  };
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify([version, commit, architecture, components]))}`,
    version: 1,
    metadata: {
      timestamp: new Date(Number(epoch) * 1000).toISOString(),
      component: self,
      properties: [
        { name: 'coold:commit', value: commit },
        { name: 'coold:architecture', value: architecture },
      ],
    },
    components,
    dependencies: [
      {
        ref: 'coold',
        dependsOn: components.map(it => it['bom-ref']).filter(ref => !ref.startsWith('node:')),
      },
      {
        ref: node['bom-ref'],
        dependsOn: components.map(it => it['bom-ref']).filter(ref => ref.startsWith('node:')),
      },
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function packageComponent({ name, version, licence }: InstalledPackage, lock: string): Component {
  const [scope, short] = name.startsWith('@') ? name.split('/') : [undefined, name];
  const key = name.startsWith('@') ? `'${name}@${version}'` : `${name}@${version}`;
  const integrity = new RegExp(`^  ${escaped(key)}:\\n    resolution: \\{integrity: (\\S+?)\\}$`, 'm').exec(
    lock,
  )?.[1];
  if (integrity === undefined) throw new Error(`pnpm-lock.yaml has no hash of ${name} ${version}`);
  return {
    type: 'library',
    'bom-ref': `${name}@${version}`,
    ...(scope === undefined ? {} : { group: scope }),
    name: short ?? name,
    version,
    hashes: hashesOf(integrity),
    licenses: [{ expression: licence }],
    purl: `pkg:npm/${scope === undefined ? '' : `${scope.replace('@', '%40')}/`}${short}@${version}`,
  };
}

function nodeComponent({ toolchainLock, architecture }: Materials): Component {
  const name = `node-linux-${architecture}`;
  const { packages } = JSON.parse(toolchainLock) as {
    packages: Record<string, { version: string; integrity: string } | undefined>;
  };
  const locked = packages[`node_modules/${name}`];
  if (locked === undefined) throw new Error(`toolchain/package-lock.json has no ${name}`);
  const { version, integrity } = locked;
  return {
    type: 'application',
    'bom-ref': `${name}@${version}`,
    name,
    version,
    hashes: hashesOf(integrity),
    licenses: [{ expression: 'MIT' }],
    purl: `pkg:npm/${name}@${version}`,
  };
}

function builtIn(versions: Materials['nodeVersions']): Component[] {
  return Object.entries(builtIntoNode).flatMap(([name, licence]): Component[] => {
    const version = versions[name];
    if (version === undefined) return [];
    return [
      {
        type: 'library',
        'bom-ref': `node:${name}`,
        name,
        version,
        licenses: [{ expression: licence }],
        purl: `pkg:generic/${name}@${encodeURIComponent(version)}`,
      },
    ];
  });
}

/** The lock files say it in base64, CycloneDX in hex. */
function hashesOf(integrity: string): NonNullable<Component['hashes']> {
  const [algorithm, base64 = ''] = integrity.split('-', 2);
  if (algorithm !== 'sha512') throw new Error(`${integrity}: expected sha512`);
  return [{ alg: 'SHA-512', content: Buffer.from(base64, 'base64').toString('hex') }];
}

/** A UUID that is made of a text's hash, in the form of RFC 9562's version 8. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
