import { expect, it } from 'vitest';
import { cablePrefix, namespaceOf, namespaceUnit, slotOfCable } from './cable.ts';

it('names a namespace and its unit after the build', () => {
  expect(namespaceOf('b-1.x')).toBe('coolify-build-b-1.x');
  expect(namespaceUnit('b-1.x')).toBe('coolify-build-net@b-1.x.service');
  for (const id of ['', '../x', 'a b', 'a/b', 'x'.repeat(129)])
    expect(() => namespaceOf(id)).toThrow('is no request_id');
});

it('knows its cables again, whose names the kernel takes', () => {
  expect(slotOfCable('coolbuild7')).toBe(7);
  expect(`${cablePrefix}65534`.length).toBeLessThanOrEqual(15);
  for (const name of ['eth0', 'coolbuild', 'coolbuild0', 'coolbuild07', 'coolbuildx', 'xcoolbuild7'])
    expect(slotOfCable(name)).toBeUndefined();
});
