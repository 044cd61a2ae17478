import { expect, it } from 'vitest';
import { createMeshAddress } from './mesh-address.ts';

it('the address of this host is up while an interface has it', () => {
  let interfaces: NodeJS.Dict<{ address: string }[]> = {
    lo: [{ address: '127.0.0.1' }],
    wg0: [{ address: 'fe80::1' }, { address: '100.64.0.7' }],
  };
  const mesh = createMeshAddress('100.64.0.7', () => interfaces);
  expect(mesh.isUp()).toBe(true);
  interfaces = { lo: [{ address: '127.0.0.1' }], wg0: undefined };
  expect(mesh.isUp()).toBe(false);
});
