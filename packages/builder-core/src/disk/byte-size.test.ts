import { describe, expect, it } from 'vitest';
import { readByteSize, readFileCount, showBytes } from './byte-size.ts';

describe('an amount of bytes', () => {
  it.each([
    ['1', 1],
    ['64K', 65_536],
    ['512M', 536_870_912],
    ['10G', 10_737_418_240],
    ['2T', 2_199_023_255_552],
    ['infinity', Number.POSITIVE_INFINITY],
  ])('%s is %d', (text, bytes) => {
    expect(readByteSize(text)).toBe(bytes);
  });

  it.each(['', '0', '-1', '1.5G', '10g', '10GB', ' 1', '50%', 'Infinity', '1e9'])('%j is no amount', text => {
    expect(readByteSize(text)).toBeUndefined();
  });

  it('or a number of files has no unit', () => {
    expect(['1', '2000000', 'infinity'].map(readFileCount)).toEqual([1, 2_000_000, Number.POSITIVE_INFINITY]);
    for (const text of ['', '0', '-1', '2M', '1.5', ' 1']) expect(readFileCount(text)).toBeUndefined();
  });

  it('is shown in units that people read', () => {
    expect([0, 1023, 1024, 1_610_612_736, 10_737_418_240, 250 * 2 ** 30].map(showBytes)).toEqual([
      ...['0 B', '1023 B', '1.0 KiB', '1.5 GiB', '10.0 GiB', '250 GiB'],
    ]);
  });
});
