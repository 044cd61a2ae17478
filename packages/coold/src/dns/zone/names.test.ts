import { expect, it } from 'vitest';
import { loopsTo, upstreams } from '../forward/upstream.ts';
import { domainName, wireName } from './names.ts';

it.each([
  ['Coolify.Internal', 'coolify.internal'],
  ['web_1.shop.coolify.internal.', 'web_1.shop.coolify.internal'],
  ['x', 'x'],
])('%s is a domain name', (text, name) => expect(domainName.parse(text)).toBe(name));

it.each(['', '.', 'a..b', '-a', 'a-', 'ü.de', 'a b', `${'a'.repeat(64)}.de`, 'a.'.repeat(127).concat('b')])(
  '"%s" is none',
  text => expect(domainName.parse(text)).toBeUndefined(),
);

it('is encoded label by label', () => expect(wireName('ab.c')).toBe('\x02ab\x01c\0'));

it('an upstream is one address and a port, and never one of our own', () => {
  expect(upstreams.parse('1.1.1.1:53')).toEqual([{ host: '1.1.1.1', port: 53 }]);
  for (const text of ['0.0.0.0:53', '1.1.1.1', '1.1.1.1:0', 'dns.google:53', '[::]:53'])
    expect(upstreams.parse(text)).toBeUndefined();
  const shop = { name: 'shop', network: 'n', gateway: '10.210.0.1' };
  expect(loopsTo({ host: '10.210.0.1', port: 53 }, [shop])).toBe(shop);
  expect(loopsTo({ host: '10.210.0.1', port: 5353 }, [shop])).toBeUndefined();
});
