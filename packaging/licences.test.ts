import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { licenceTexts, packageFolder, packagesOf } from './licences.ts';

test.each([
  ['node_modules/pino/lib/proto.js', 'node_modules/pino'],
  [
    'node_modules/.pnpm/@grpc+grpc-js@1.14.7/node_modules/@grpc/grpc-js/build/src/index.js',
    'node_modules/.pnpm/@grpc+grpc-js@1.14.7/node_modules/@grpc/grpc-js',
  ],
  ['packages/coold/src/main.ts', undefined],
])('%s belongs to %s', (file, folder) => expect(packageFolder(file)).toBe(folder));

test('gives the text of each package once', async () => {
  const root = dirname(import.meta.dirname);
  const files = [
    'node_modules/typescript/package.json',
    'node_modules/typescript/README.md',
    'setup/run.mjs',
  ];
  const text = await licenceTexts(await packagesOf(root, files));
  expect(text.match(/^==== /gm)).toHaveLength(1);
  expect(text).toMatch(/^==== typescript .*\(Apache-2.0\)/);
  expect(text).toContain('Apache License');
});
