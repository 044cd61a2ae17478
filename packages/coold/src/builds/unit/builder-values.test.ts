import { describe, expect, it } from 'vitest';
import { cpuQuota, memoryLimit, network, registry, unitPath } from './builder-values.ts';

describe('values of a unit', () => {
  it.each([
    [
      memoryLimit,
      ['2G', '512M', '1073741824', '50%', '100%', 'infinity'],
      ['', '0', '2g', '2GB', '101%', '-1', '2 G'],
    ],
    [cpuQuota, ['200%', '1%'], ['', '0%', '200', '1.5%', 'x%']],
    [
      network,
      ['10.210.0.0/16', '100.64.0.1/32', 'fd00::/8', '0.0.0.0/0'],
      ['10.0.0.0', '10.0.0.0/33', 'fd00::/129', 'any', '1.2.3.4/08', 'fe80::%eth0/64'],
    ],
    [
      registry,
      ['10.0.0.5:5000', 'registry.internal', 'localhost:5000'],
      ['', 'http://r.example', 'r.example/a', 'a b', 'r.example:', '%i', '-x', 'a"b'],
    ],
    [unitPath, ['/var/lib/x', '/a-b_c.d'], ['', 'x', '/a b', '/a%i', '/a/', '/']],
  ])('%#', (type, good, bad) => {
    for (const text of good) expect(type.parse(text), text).toBe(text);
    for (const text of bad) expect(type.parse(text), text).toBeUndefined();
  });
});
