import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { expect, test } from 'vitest';
import { packagesOf } from './licences.ts';
import { billOfMaterials, type Materials } from './sbom.ts';

const root = dirname(import.meta.dirname);

async function materials(): Promise<Materials> {
  return {
    version: '1.2.3',
    commit: '0123456789ab',
    epoch: '1767225600',
    architecture: process.arch,
    packages: await packagesOf(root, [
      'packages/runtime/node_modules/pino/pino.js',
      'packages/broker/node_modules/@bufbuild/protobuf/package.json',
    ]),
    pnpmLock: await readFile(join(root, 'pnpm-lock.yaml'), 'utf8'),
    toolchainLock: await readFile(join(root, 'toolchain/package-lock.json'), 'utf8'),
    nodeVersions: process.versions,
    libatomic: '12.2.0-14+deb12u1',
  };
}

test('the bill of materials is CycloneDX 1.6 to the letter of its schema', async () => {
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
  const text = billOfMaterials(await materials());
  expect(await validator.validate(text)).toBeNull();
  expect(await validator.validate(text.replace('"library"', '"book"'))).not.toBeNull();
});

test('it names what is bundled with its hash, Node with its parts, and libatomic', async () => {
  const { components, metadata } = JSON.parse(billOfMaterials(await materials())) as {
    components: { name: string; version: string; purl: string; hashes?: { content: string }[] }[];
    metadata: { timestamp: string };
  };
  const named = new Map(components.map(it => [it.name, it]));
  expect(named.get('pino')?.hashes?.[0]?.content).toMatch(/^[0-9a-f]{128}$/);
  expect(named.get('protobuf')?.purl).toMatch(/^pkg:npm\/%40bufbuild\/protobuf@2\./);
  expect(named.get(`node-linux-${process.arch}`)?.version).toBe(process.versions.node);
  expect(named.get('openssl')?.version).toBe(process.versions.openssl);
  expect([...named.keys()]).toEqual(expect.arrayContaining(['v8', 'uv', 'libatomic1']));
  expect(metadata.timestamp).toBe('2026-01-01T00:00:00.000Z');
});

test('the same materials give the same text, others another serial number', async () => {
  const made = await materials();
  const serial = (text: string) => (JSON.parse(text) as { serialNumber: string }).serialNumber;
  expect(billOfMaterials(made)).toBe(billOfMaterials(await materials()));
  expect(serial(billOfMaterials({ ...made, commit: 'another' }))).not.toBe(serial(billOfMaterials(made)));
});

test('a package that the lock file does not know is refused', async () => {
  const made = await materials();
  const strange = { name: 'strange', version: '1.0.0', licence: 'MIT', folder: '/' };
  expect(() => billOfMaterials({ ...made, packages: [strange] })).toThrow(
    'pnpm-lock.yaml has no hash of strange 1.0.0',
  );
});
