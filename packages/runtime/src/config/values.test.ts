import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  absolutePath,
  bindAddress,
  boolean,
  duration,
  integer,
  ipv4,
  list,
  oneAddress,
  text,
} from './values.ts';

describe('text', () => {
  it.each(['a', ' ', 'with spaces', 'ümläut', '日本'])('takes %j as it is', value => {
    expect(text.parse(value)).toBe(value);
  });

  it.each(['', 'a\nb', '\t', 'a\u0000', '\u007f', '\u001b[31m'])('refuses %j', value => {
    expect(text.parse(value)).toBeUndefined();
  });
});

describe('absolutePath', () => {
  it.each(['/', '/etc/coolify/jwt.pub', '/with space'])('takes %j', value => {
    expect(absolutePath.parse(value)).toBe(value);
  });

  it.each(['', 'etc', './etc', '~/x', ' /etc', '/a\nb', '/a\u0000'])('refuses %j', value => {
    expect(absolutePath.parse(value)).toBeUndefined();
  });
});

describe('boolean', () => {
  it.each(['1', 'true', 'yes', 'TRUE', 'Yes'])('reads %j as true', value => {
    expect(boolean.parse(value)).toBe(true);
  });

  it.each(['0', 'false', 'no', 'FALSE', 'No'])('reads %j as false', value => {
    expect(boolean.parse(value)).toBe(false);
  });

  it.each(['', 'on', 'off', '2', ' true', 'truee', 'y'])('refuses %j', value => {
    expect(boolean.parse(value)).toBeUndefined();
  });
});

describe('integer', () => {
  it('takes its bounds and refuses what lies beyond them', () => {
    const type = integer(1, 64);
    expect(['0', '1', '64', '65'].map(type.parse)).toEqual([undefined, 1, 64, undefined]);
  });

  it.each(['', '+1', '-1', '1.0', '1e3', '0x10', '01', ' 1', '1 ', '1_000', '١', 'NaN', '9'.repeat(17)])(
    'refuses %j',
    value => {
      expect(integer(0, Number.MAX_SAFE_INTEGER).parse(value)).toBeUndefined();
    },
  );

  it('never yields a number outside its bounds, and every number inside them', () => {
    const bound = fc.integer({ min: 0, max: 100_000 });
    fc.assert(
      fc.property(bound, bound, bound, (a, b, value) => {
        const [min, max] = [Math.min(a, b), Math.max(a, b)];
        const inside = min <= value && value <= max;
        expect(integer(min, max).parse(String(value))).toBe(inside ? value : undefined);
      }),
    );
  });

  it('names its bounds', () => {
    expect(integer(1, 64).expected).toBe('a whole number from 1 to 64');
  });
});

describe('duration', () => {
  it.each([
    ['0s', 0],
    ['500ms', 500],
    ['2s', 2000],
    ['1m', 60_000],
    ['12h', 43_200_000],
    ['30d', 2_592_000_000],
  ])('reads %s as %d ms', (value, ms) => {
    expect(duration.parse(value)).toBe(ms);
  });

  it.each(['', '5', 's', '5 s', '-1s', '1.5s', '1S', '1s1s', '1w', '1e3s', '1234567890s', '1s\n'])(
    'refuses %j',
    value => {
      expect(duration.parse(value)).toBeUndefined();
    },
  );

  it('is exact for every number it takes, and refuses what cannot be', () => {
    const units = [
      ['ms', 1],
      ['s', 1000],
      ['m', 60_000],
      ['h', 3_600_000],
      ['d', 86_400_000],
    ] as const;
    fc.assert(
      fc.property(fc.nat(999_999_999), fc.constantFrom(...units), (count, [unit, ms]) => {
        const exact = Number.isSafeInteger(count * ms);
        expect(duration.parse(`${count}${unit}`)).toBe(exact ? count * ms : undefined);
      }),
    );
  });
});

describe('ipv4', () => {
  it.each(['', '1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', '::1', '1.2.3.4/24'])('refuses %j', value => {
    expect(ipv4.parse(value)).toBeUndefined();
  });

  it('accepts every address unchanged', () => {
    fc.assert(
      fc.property(fc.ipV4(), address => {
        expect(ipv4.parse(address)).toBe(address);
      }),
    );
  });
});

describe('oneAddress', () => {
  it.each([
    ['100.64.0.5:8443', '100.64.0.5', 8443],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['[fd00::1]:8443', 'fd00::1', 8443],
    ['[::1]:1', '::1', 1],
  ])('reads %s', (value, host, port) => {
    expect(oneAddress.parse(value)).toEqual({ host, port });
  });

  it.each([
    '0.0.0.0:8443',
    '[::]:8443',
    '[::0]:8443',
    '[0:0:0:0:0:0:0:0]:8443',
    '[0000::0000]:8443',
    '[::0.0.0.0]:8443',
    '[::ffff:0.0.0.0]:8443',
    '[::ffff:0:0]:8443',
    'localhost:8443',
    ':8443',
    '8443',
    '127.0.0.1',
  ])('refuses %j', value => {
    expect(oneAddress.parse(value)).toBeUndefined();
  });
});

describe('bindAddress', () => {
  it.each([
    ['0.0.0.0:6443', '0.0.0.0', 6443],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['100.64.0.5:65535', '100.64.0.5', 65_535],
    ['[::]:6443', '::', 6443],
    ['[fd00::1]:1', 'fd00::1', 1],
    ['[::ffff:10.0.0.1]:80', '::ffff:10.0.0.1', 80],
  ])('reads %s', (value, host, port) => {
    expect(bindAddress.parse(value)).toEqual({ host, port });
  });

  it.each([
    '',
    '6443',
    ':6443',
    '0.0.0.0',
    '0.0.0.0:',
    '0.0.0.0:65536',
    '0.0.0.0:-1',
    '0.0.0.0:1 ',
    '0.0.0:1',
    '256.0.0.1:1',
    'localhost:1',
    '::1:80',
    '[::1]',
    '[::1]80',
    '[:::]:1',
    '[12345::]:1',
    '[fe80::1%eth0]:1',
    '[10.0.0.1]:80',
    'http://0.0.0.0:1',
  ])('refuses %j', value => {
    expect(bindAddress.parse(value)).toBeUndefined();
  });

  it('takes every address with every port', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535), (host, port) => {
        const shown = isIPv4(host) ? host : `[${host}]`;
        expect(bindAddress.parse(`${shown}:${port}`)).toEqual({ host, port });
      }),
    );
  });

  it('takes nothing between brackets that is not an address of version 6', () => {
    const piece = fc.constantFrom('0', 'ffff', '12345', ':', '::', '.', '1.2.3.4', 'g', '%', ']', '@');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), pieces => {
        const host = pieces.join('');
        expect(bindAddress.parse(`[${host}]:80`) !== undefined).toBe(isIPv6(host) && !host.includes('%'));
      }),
    );
  });
});

describe('list', () => {
  it.each([
    ['', []],
    [',', []],
    ['1', [1]],
    ['1,2', [1, 2]],
    [' 1 ,, 2 ,', [1, 2]],
  ])('reads %j', (value, items) => {
    expect(list(integer(0, 9)).parse(value)).toEqual(items);
  });

  it('is bad as a whole when one element is', () => {
    expect(list(integer(0, 9)).parse('1,x,2')).toBeUndefined();
  });

  it('keeps elements that read as false or zero', () => {
    expect(list(boolean).parse('no,yes')).toEqual([false, true]);
    expect(list(integer(0, 9)).parse('0,0')).toEqual([0, 0]);
  });

  it('reads back what was joined', () => {
    fc.assert(
      fc.property(fc.array(fc.ipV4()), addresses => {
        expect(list(ipv4).parse(addresses.join(', '))).toEqual(addresses);
      }),
    );
  });
});
