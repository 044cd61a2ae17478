import { describe, expect, it } from 'vitest';
import { namespaces } from './namespaces.ts';

describe('namespaces', () => {
  it('are a name, a network and a gateway each, in the order given', () => {
    expect(
      namespaces.parse('default:coolify-default-mesh:0.0.0.0, alpha:coolify-alpha-mesh:10.210.1.1'),
    ).toEqual([
      { name: 'default', network: 'coolify-default-mesh', gateway: '0.0.0.0' },
      { name: 'alpha', network: 'coolify-alpha-mesh', gateway: '10.210.1.1' },
    ]);
  });

  it('may share the gateway 0.0.0.0, which is none', () => {
    expect(namespaces.parse('a:x:0.0.0.0,b:y:0.0.0.0')).toHaveLength(2);
  });

  it.each([
    ['nothing', ' , '],
    ['no gateway', 'default:coolify-default-mesh'],
    ['a gateway that is no address', 'default:mesh:gateway'],
    ['a gateway of IPv6', 'default:mesh:::1'],
    ['a name that is no label', 'Default:mesh:10.0.0.1'],
    ['a name with a dot', 'a.b:mesh:10.0.0.1'],
    ['an empty network', 'default::10.0.0.1'],
    ['one name twice', 'a:x:10.0.0.1,a:y:10.0.0.2'],
    ['one network twice', 'a:x:10.0.0.1,b:x:10.0.0.2'],
    ['one gateway twice', 'a:x:10.0.0.1,b:y:10.0.0.1'],
  ])('with %s are refused', (_, text) => {
    expect(namespaces.parse(text)).toBeUndefined();
  });
});
