import { expect, it } from 'vitest';
import { corrosionUrl } from './corrosion-url.ts';

it('is an origin, with or without its slash', () => {
  expect(corrosionUrl.parse('http://127.0.0.1:8080')).toBe('http://127.0.0.1:8080');
  expect(corrosionUrl.parse('http://[::1]:8080/')).toBe('http://[::1]:8080');
  expect(corrosionUrl.parse('https://corrosion')).toBe('https://corrosion');
});

it.each(['127.0.0.1:8080', 'http://a/v1', 'http://a?b', 'http://u@a', 'unix:/run/x', ''])(
  'is not %s',
  text => {
    expect(corrosionUrl.parse(text)).toBeUndefined();
  },
);
