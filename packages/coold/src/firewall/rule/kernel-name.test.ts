import { expect, test } from 'vitest';
import { chainName, interfaceName } from './kernel-name.ts';

test.each(['wg0', 'wg-mesh.0', 'a', 'fifteen-letters'])('%s is an interface name', text =>
  expect(interfaceName.parse(text)).toBe(text),
);

test.each(['', 'sixteen-letters-', 'wg 0', 'wg+', '-o', 'wg0\n', 'a/b', 'wg"0', '.'])(
  '%j is not an interface name',
  text => expect(interfaceName.parse(text)).toBeUndefined(),
);

test.each(['COOLIFY-ALLOW', 'mesh_allow', 'A'.repeat(28)])('%s is a chain name', text =>
  expect(chainName.parse(text)).toBe(text),
);

test.each(['', 'A'.repeat(29), '-A', 'FORWARD', 'drop', 'COOLIFY-INTRA', 'a b', 'a\nCOMMIT'])(
  '%j is not a name for the allow chain',
  text => expect(chainName.parse(text)).toBeUndefined(),
);
