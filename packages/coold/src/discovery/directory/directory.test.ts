import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../endpoint.ts';
import { createDirectory } from './directory.ts';

const here = '100.64.0.1';

const row = (containerId: string, changes: Partial<Endpoint> = {}): Endpoint => ({
  containerId,
  name: containerId,
  namespace: 'default',
  hostMgmtIp: '100.64.0.1',
  address: `10.210.0.${containerId.length}`,
  state: 'running',
  health: 'unknown',
  ...changes,
});
const registered = (containerId: string, name: string, serviceId = 's', namespace = 'default') => ({
  serviceId,
  containerId,
  name,
  namespace,
});
const ids = (found: readonly { containerId: string }[] | undefined) =>
  found?.map(({ containerId }) => containerId).sort();

describe('a name', () => {
  it.each<[Partial<Endpoint>, boolean]>([
    [{}, true],
    [{ health: 'healthy' }, true],
    [{ health: 'unhealthy' }, false],
    [{ health: 'starting' }, false],
    [{ state: 'exited' }, false],
    [{ state: 'paused' }, false],
    [{ address: '' }, false],
    // Rows are other hosts' word.
    [{ address: 'fd00::1' }, false],
    [{ address: '10.210.0.256' }, false],
    [{ address: '10.210.0.1\n' }, false],
    [{ namespace: 'other' }, false],
    [{ name: 'WEB' }, true],
    [{ name: 'web.1' }, false],
  ])('of a container that is %j is found: %s', (changes, isFound) => {
    const { directory, endpoints } = createDirectory(here);
    endpoints.put(row('web', changes));
    const found = directory.find('default', 'web') ?? directory.find('default', 'web.1');
    expect(ids(found)).toEqual(isFound ? ['web'] : undefined);
  });

  it('with an underscore is one; one longer than a label, or that ends in a hyphen, is none', () => {
    const { directory, endpoints } = createDirectory(here);
    for (const name of ['web_1', 'x'.repeat(63), 'y'.repeat(64), 'web-']) endpoints.put(row(name));
    expect(directory.find('default', 'web_1')).toBeDefined();
    expect(directory.find('default', 'x'.repeat(63))).toBeDefined();
    expect(directory.find('default', 'y'.repeat(64))).toBeUndefined();
    expect(directory.find('default', 'web-')).toBeUndefined();
  });

  it('of several containers has all their addresses, and another list only when they differ', () => {
    const { directory, endpoints } = createDirectory(here);
    endpoints.put(row('a', { name: 'web' }));
    endpoints.put(row('bb', { name: 'web', hostMgmtIp: '100.64.0.2' }));
    endpoints.begin();
    endpoints.load(row('a', { name: 'web' }));
    endpoints.load(row('bb', { name: 'web', hostMgmtIp: '100.64.0.2' }));
    endpoints.finish();
    const before = directory.find('default', 'web');
    const kept = [...(before ?? [])];
    endpoints.put(row('a', { name: 'web' }));
    endpoints.put(row('other'));
    expect(directory.find('default', 'web')).toBe(before);
    endpoints.put(row('a', { name: 'web', health: 'unhealthy' }));
    endpoints.put(row('ccc', { name: 'web' }));
    expect(ids(directory.find('default', 'web'))).toEqual(['bb', 'ccc']);
    expect(before).toEqual(kept);
  });
});

describe('a service', () => {
  it('answers with its containers, together with a container of its name', () => {
    const { directory, endpoints, registrations } = createDirectory(here);
    endpoints.put(row('v1'));
    endpoints.put(row('shop'));
    registrations.put(registered('v1', 'Shop'));
    expect(ids(directory.find('default', 'shop'))).toEqual(['shop', 'v1']);
    registrations.put(registered('shop', 'shop'));
    registrations.put(registered('v1', 'shop', 'another'));
    expect(ids(directory.find('default', 'shop'))).toEqual(['shop', 'v1']);
    registrations.remove(registered('v1', 'shop'));
    expect(ids(directory.find('default', 'shop'))).toEqual(['shop', 'v1']);
    registrations.remove(registered('v1', 'shop', 'another'));
    expect(ids(directory.find('default', 'shop'))).toEqual(['shop']);
  });

  it('follows its containers, and does not exist while none of them is answered', () => {
    const { directory, endpoints, registrations } = createDirectory(here);
    registrations.put(registered('v1', 'shop'));
    expect(directory.find('default', 'shop')).toBeUndefined();
    endpoints.put(row('v1'));
    const before = directory.find('default', 'shop');
    expect(ids(before)).toEqual(['v1']);
    endpoints.put(row('other'));
    expect(directory.find('default', 'shop')).toBe(before);
    endpoints.put(row('v1', { state: 'exited' }));
    expect(directory.find('default', 'shop')).toBeUndefined();
  });

  it('that was renamed is found by its new name alone', () => {
    const { directory, endpoints, registrations } = createDirectory(here);
    endpoints.put(row('v1'));
    registrations.put(registered('v1', 'shop'));
    registrations.put(registered('v1', 'store'));
    expect(directory.find('default', 'shop')).toBeUndefined();
    expect(ids(directory.find('default', 'store'))).toEqual(['v1']);
  });
});

describe('a load', () => {
  it('takes the place of what was before when it is whole, and not sooner', () => {
    const { directory, endpoints, row: rowOf } = createDirectory(here);
    expect(directory.isLoaded()).toBe(false);
    expect(directory.addresses()).toBeUndefined();
    const load = (...rows: Endpoint[]) => {
      endpoints.begin();
      for (const one of rows) endpoints.load(one);
    };
    load(row('a'), row('bb', { state: 'exited' }));
    endpoints.finish();
    load(row('ccc'));
    expect(ids(directory.find('default', 'a'))).toEqual(['a']);
    load(row('dddd')); // broken off and begun again
    endpoints.put(row('a', { address: '10.210.0.9' }));
    expect(directory.find('default', 'a')).toMatchObject([{ address: '10.210.0.9' }]);
    endpoints.finish();
    expect(directory.find('default', 'a')).toBeUndefined();
    expect(rowOf('a')).toBeUndefined();
    expect(ids(directory.find('default', 'dddd'))).toEqual(['dddd']);
    expect([...(directory.addresses() ?? [])]).toEqual(['10.210.0.4']);
  });
});

describe('the statistics', () => {
  it('reports its age: 0 while both subscriptions receive changes', () => {
    let at = 1000;
    const { directory, endpoints, registrations } = createDirectory(here, () => at);
    at += 500;
    expect(directory.stats()).toMatchObject({ connected: false, ageMs: 500, rows: 0 });
    endpoints.connected(true);
    registrations.connected(true);
    at += 500;
    expect(directory.stats()).toMatchObject({ connected: true, ageMs: 0 });
    endpoints.connected(false);
    at += 700;
    endpoints.connected(false);
    registrations.connected(false);
    at += 300;
    expect(directory.stats()).toMatchObject({ connected: false, ageMs: 1000 });
  });

  it('count rows that this host cannot reach', () => {
    const { directory, endpoints, setReach } = createDirectory(here);
    endpoints.put(row('a'));
    endpoints.put(row('bb', { hostMgmtIp: '100.64.0.2' }));
    endpoints.put(row('ccc', { hostMgmtIp: '100.64.0.3' }));
    expect(directory.stats().rowsUnreachable).toBe(0);
    setReach(address => address === '10.210.0.2');
    expect(directory.stats().rowsUnreachable).toBe(1);
  });
});

describe('a container of another host', () => {
  const there = { hostMgmtIp: '100.64.0.2' };

  it('is answered while its address can be reached, and one of this host always', () => {
    const { directory, endpoints, setReach } = createDirectory(here);
    endpoints.put(row('own'));
    endpoints.put(row('far', { ...there, name: 'web' }));
    expect(ids(directory.find('default', 'web'))).toEqual(['far']);
    const before = directory.version;
    setReach(() => false);
    expect(directory.version).toBeGreaterThan(before);
    expect(directory.find('default', 'web')).toBeUndefined();
    expect(ids(directory.find('default', 'own'))).toEqual(['own']);
    expect(directory.leftOut('default', 'web')).toEqual([
      { address: '10.210.0.3', ...there, containerId: 'far', reason: 'unreachable' },
    ]);
    endpoints.put(row('far', { ...there, name: 'web', health: 'healthy' }));
    expect(directory.find('default', 'web')).toBeUndefined();
    setReach(address => address === '10.210.0.3');
    expect(ids(directory.find('default', 'web'))).toEqual(['far']);
    expect(directory.leftOut('default', 'web')).toEqual([]);
  });

  it('is not answered by an address that a network of this host has: it leads to a container of this host', () => {
    const { directory, endpoints, setOwnNetworks, setReach } = createDirectory(here);
    endpoints.put(row('own', { address: '10.89.0.5' }));
    endpoints.put(row('far', { ...there, address: '10.89.0.5' }));
    endpoints.put(row('further', { ...there, address: '10.89.1.5' }));
    setReach(() => true);
    setOwnNetworks(['10.89.0.0/24', 'fd00::/64']);
    expect(directory.find('default', 'far')).toBeUndefined();
    expect(directory.leftOut('default', 'far')).toMatchObject([{ reason: 'unreachable' }]);
    expect(directory.stats().rowsUnreachable).toBe(1);
    expect(ids(directory.find('default', 'own'))).toEqual(['own']);
    expect(ids(directory.find('default', 'further'))).toEqual(['further']);
    setOwnNetworks([]);
    expect(ids(directory.find('default', 'far'))).toEqual(['far']);
    expect(directory.stats().rowsUnreachable).toBe(0);
  });

  it('is asked for by its address and its host', () => {
    const { directory, endpoints, setReach } = createDirectory(here);
    endpoints.put(row('far', there));
    setReach((_, host) => host !== there.hostMgmtIp);
    expect(directory.find('default', 'far')).toBeUndefined();
  });

  it('is not answered once its host is gone, by a registered name neither, and is again when it is back', () => {
    const { directory, endpoints, registrations, setGone } = createDirectory(here);
    endpoints.put(row('far', there));
    endpoints.put(row('own'));
    registrations.put(registered('far', 'web'));
    registrations.put(registered('own', 'web'));
    setGone(new Set(['100.64.0.2', here]));
    expect(ids(directory.find('default', 'web'))).toEqual(['own']);
    expect(directory.find('default', 'far')).toBeUndefined();
    expect(directory.leftOut('default', 'web')).toMatchObject([{ containerId: 'far', reason: 'host_gone' }]);
    expect(directory.stats().hostsGone).toEqual([here, '100.64.0.2']);
    // A load in the meantime keeps to it.
    endpoints.begin();
    endpoints.load(row('far', there));
    endpoints.finish();
    expect(directory.find('default', 'far')).toBeUndefined();
    setGone(new Set());
    expect(ids(directory.find('default', 'far'))).toEqual(['far']);
  });

  it.each([
    [{ state: 'exited' }, 'not_running'],
    [{ health: 'starting' }, 'unhealthy'],
    [{ address: '' }, 'no_address'],
  ])('that is %j is left out as %s', (changes, reason) => {
    const { directory, endpoints } = createDirectory(here);
    endpoints.put(row('far', { ...there, ...changes }));
    expect(directory.leftOut('default', 'far')).toMatchObject([{ containerId: 'far', reason }]);
  });

  it('is judged by what is known when a load ends, not by what was when its row came', () => {
    const { directory, endpoints, setReach, setOwnNetworks, setGone } = createDirectory(here);
    const load = (meanwhile: () => void) => {
      endpoints.begin();
      endpoints.load(row('far', there));
      meanwhile();
      endpoints.finish();
      return ids(directory.find('default', 'far') ?? []);
    };
    expect(load(() => setReach(() => false))).toEqual([]);
    expect(load(() => setReach(() => true))).toEqual(['far']);
    expect(load(() => setOwnNetworks(['10.210.0.0/16']))).toEqual([]);
    expect(load(() => setOwnNetworks([]))).toEqual(['far']);
    expect(load(() => setGone(new Set([there.hostMgmtIp])))).toEqual([]);
  });

  it('is not answered under a registered name either, if its own name is not a DNS name', () => {
    const { directory, endpoints, registrations, setReach, setGone } = createDirectory(here);
    endpoints.put(row('far', { ...there, name: 'my.app' }));
    registrations.put(registered('far', 'web'));
    expect(ids(directory.find('default', 'web'))).toEqual(['far']);
    setReach(() => false);
    expect(directory.find('default', 'web')).toBeUndefined();
    setReach(() => true);
    expect(ids(directory.find('default', 'web'))).toEqual(['far']);
    setGone(new Set([there.hostMgmtIp]));
    expect(directory.find('default', 'web')).toBeUndefined();
  });

  it('keeps its list while what can be reached changes for others', () => {
    const { directory, endpoints, setReach } = createDirectory(here);
    endpoints.put(row('a', there));
    endpoints.put(row('bb', there));
    const before = directory.find('default', 'a');
    setReach(address => address === '10.210.0.1');
    expect(directory.find('default', 'a')).toBe(before);
    expect(directory.find('default', 'bb')).toBeUndefined();
  });
});

describe('whatever happens', () => {
  const few = (prefix: string, max: number) => fc.integer({ min: 0, max }).map(n => `${prefix}${n}`);
  const endpoint = fc.record({
    containerId: few('c', 5),
    name: fc.constantFrom('web', 'Web', 'api', 'a.b'),
    namespace: fc.constantFrom('default', 'shop'),
    hostMgmtIp: few('100.64.0.', 3),
    address: fc.constantFrom('', '10.0.0.1', '10.0.0.2'),
    state: fc.constantFrom('running', 'exited'),
    health: fc.constantFrom('unknown', 'healthy', 'unhealthy'),
  });
  const registration = fc.record({
    serviceId: few('s', 2),
    containerId: few('c', 5),
    name: fc.constantFrom('web', 'db'),
    namespace: fc.constantFrom('default', 'shop'),
  });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), row: endpoint }),
    fc.record({ kind: fc.constant('remove' as const), id: few('c', 5) }),
    fc.record({ kind: fc.constant('load' as const), rows: fc.array(endpoint, { maxLength: 6 }) }),
    fc.record({ kind: fc.constant('register' as const), row: registration }),
    fc.record({ kind: fc.constant('unregister' as const), row: registration }),
  );

  it('answers as a search through all rows would, and lists once given never change', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const { directory, endpoints, registrations, hosts } = createDirectory(here);
        let rows = new Map<string, Endpoint>();
        let isLoaded = false;
        const services = new Map<string, { containerId: string; name: string; namespace: string }>();
        const given: [list: readonly unknown[], copy: unknown[]][] = [];
        for (const one of steps) {
          const before = directory.version;
          switch (one.kind) {
            case 'put':
              endpoints.put(one.row);
              rows.set(one.row.containerId, one.row);
              break;
            case 'remove':
              endpoints.remove(one.id);
              rows.delete(one.id);
              break;
            case 'load':
              endpoints.begin();
              for (const loaded of one.rows) endpoints.load(loaded);
              endpoints.finish();
              rows = new Map(one.rows.map(loaded => [loaded.containerId, loaded]));
              isLoaded = true;
              break;
            case 'register':
              registrations.put(one.row);
              services.set(`${one.row.serviceId} ${one.row.containerId}`, one.row);
              break;
            case 'unregister':
              registrations.remove(one.row);
              services.delete(`${one.row.serviceId} ${one.row.containerId}`);
              break;
          }
          const answers = [...rows.values()].filter(
            ({ state, health, address }) => state === 'running' && health !== 'unhealthy' && address !== '',
          );
          for (const namespace of ['default', 'shop']) {
            for (const name of ['web', 'api', 'db', 'a.b']) {
              const wanted = answers.filter(
                found =>
                  (found.namespace === namespace && found.name.toLowerCase() === name && name !== 'a.b') ||
                  [...services.values()].some(
                    service =>
                      service.containerId === found.containerId &&
                      service.name === name &&
                      service.namespace === namespace,
                  ),
              );
              const found = directory.find(namespace, name);
              expect(ids(found)).toEqual(wanted.length === 0 ? undefined : ids(wanted));
              if (found !== undefined) given.push([found, [...found]]);
            }
          }
          expect(directory.addresses() ?? new Set()).toEqual(
            isLoaded
              ? new Set([...rows.values()].map(({ address }) => address).filter(address => address !== ''))
              : new Set(),
          );
          expect([...hosts().values()].reduce((sum, count) => sum + count, 0)).toBe(rows.size);
          expect(directory.version).toBeGreaterThanOrEqual(before);
        }
        for (const [list, copy] of given) expect(list).toEqual(copy);
      }),
      { numRuns: 500 },
    );
  });
});

describe('before everything was read', () => {
  it('reports that a name may be a registered one', () => {
    const { directory, endpoints, registrations } = createDirectory(here);
    endpoints.begin();
    endpoints.finish();
    expect(directory.addresses()).toEqual(new Set());
    expect(directory.isLoaded()).toBe(false);
    registrations.begin();
    registrations.finish();
    expect(directory.isLoaded()).toBe(true);
  });
});

describe('a namespace', () => {
  it('exists while a container or a registration has a name in it', () => {
    const { directory, endpoints, registrations } = createDirectory(here);
    expect(directory.hasNamespace('far')).toBe(false);
    endpoints.put(row('web', { namespace: 'far' }));
    expect(directory.hasNamespace('far')).toBe(true);
    endpoints.remove('web');
    expect(directory.hasNamespace('far')).toBe(false);
    registrations.put(registered('web', 'shop', 's', 'far'));
    expect(directory.hasNamespace('far')).toBe(true);
    registrations.remove({ serviceId: 's', containerId: 'web' });
    expect(directory.hasNamespace('far')).toBe(false);
  });
});

describe('an address', () => {
  const named = (...names: string[]) => names.map(name => ({ name, namespace: 'default' }));
  const at = (address: string, changes: Partial<Endpoint> = {}) => ({ address, ...changes });

  it('leads to who has it: to those that run, else to those that will have it', () => {
    const { directory, endpoints } = createDirectory(here);
    const bearers = () => directory.bearers('10.210.0.9')?.map(({ name }) => name);
    expect(bearers()).toBeUndefined();
    endpoints.put(row('old', at('10.210.0.9', { state: 'exited' })));
    expect(bearers()).toEqual(['old']);
    endpoints.put(row('new', at('10.210.0.9', { health: 'unhealthy' })));
    expect(bearers()).toEqual(['new']);
    endpoints.put(row('new', at('10.210.0.8')));
    expect(bearers()).toEqual(['old']);
    endpoints.remove('old');
    expect(bearers()).toBeUndefined();
    expect(directory.bearers('10.210.0.8')).toMatchObject(named('new'));
  });

  it('that two containers of a lot have is that of both, and of the one that is left', () => {
    const { directory, endpoints } = createDirectory(here);
    for (const name of ['a', 'b', 'c']) endpoints.put(row(name, at('10.210.0.9')));
    endpoints.remove('b');
    expect(directory.bearers('10.210.0.9')).toMatchObject(named('a', 'c'));
    endpoints.remove('a');
    expect(directory.bearers('10.210.0.9')).toMatchObject(named('c'));
  });

  it('of a container without a name in DNS, or that another host has where it cannot be reached, leads to none', () => {
    const { directory, endpoints, setReach, setGone } = createDirectory(here);
    endpoints.put(row('web.1', at('10.210.0.7')));
    endpoints.put(row('odd', at('10.210.0.7', { namespace: 'a.b' })));
    endpoints.put(row('far', at('10.89.0.2', { hostMgmtIp: '100.64.0.2' })));
    endpoints.put(row('here', at('10.89.0.2')));
    expect(directory.bearers('10.210.0.7')).toBeUndefined();
    expect(directory.bearers('10.89.0.2')).toMatchObject(named('far', 'here'));
    setReach(address => address.startsWith('10.210.'));
    expect(directory.bearers('10.89.0.2')).toMatchObject(named('here'));
    expect(directory.bearers('10.210.0.7')).toEqual([]);
    setReach(() => true);
    setGone(new Set(['100.64.0.2']));
    expect(directory.bearers('10.89.0.2')).toMatchObject(named('here'));
  });

  it('that is of a peer or of a network of this host is of the mesh, whether or not a container has it', () => {
    const { directory, setMeshNetworks, setReach } = createDirectory(here);
    const before = directory.version;
    setReach(address => address === '10.210.1.1');
    expect(directory.version).toBeGreaterThan(before);
    const { version } = directory;
    setMeshNetworks(address => address === '10.210.0.1');
    expect(directory.version).toBeGreaterThan(version);
    expect(['10.210.0.1', '10.210.1.1', '10.99.0.1'].map(each => directory.bearers(each))).toEqual([
      [],
      [],
      undefined,
    ]);
  });
});
