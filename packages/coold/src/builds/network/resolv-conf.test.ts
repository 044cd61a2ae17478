import { expect, it } from 'vitest';
import { readResolvers } from '../../dns/forward/host-resolvers.ts';
import { buildResolvConf } from './resolv-conf.ts';

it('reads the resolvers of a host, in their order, and no more than the C library asks', () => {
  const text = [
    '# nameserver 9.9.9.9',
    'search corp.example',
    'nameserver 127.0.0.53',
    'nameserver\t2001:db8::1',
    'nameserver 240.0.0.1',
    'nameserver nonsense',
    'nameserver 10.0.0.2',
    'nameserver 10.0.0.3',
  ];
  expect(readResolvers(text.join('\n'), '240.0.0.1')).toEqual([
    { host: '127.0.0.53', port: 53 },
    { host: '2001:db8::1', port: 53 },
    { host: '10.0.0.2', port: 53 },
  ]);
  expect(readResolvers('', '240.0.0.1')).toEqual([]);
});

it("a build's own names the gateway alone", () => {
  expect(readResolvers(buildResolvConf('240.0.0.1'), '0.0.0.0')).toEqual([{ host: '240.0.0.1', port: 53 }]);
});
