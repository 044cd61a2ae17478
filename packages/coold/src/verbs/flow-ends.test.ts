import { VerbError } from '@coold/errors';
import { expect, test } from 'vitest';
import { createDirectory } from '../discovery/directory/directory.ts';
import type { ContainerFacts } from '../podman/lifecycle.ts';
import { type FlowEndsOptions, readFlowEnd } from './flow-ends.ts';

const own = '100.64.0.1';
const far = '100.64.0.2';
const idOf = (letter: string) => letter.repeat(64);

const { directory, endpoints } = createDirectory(own);
endpoints.begin();
for (const [letter, name, hostMgmtIp, address, state] of [
  ['a', 'web', own, '10.210.0.2', 'running'],
  ['b', 'db', far, '10.210.8.2', 'running'],
  ['c', 'twin', far, '10.210.8.3', 'running'],
  ['d', 'gone', far, '', 'exited'],
] as const)
  endpoints.load({
    containerId: idOf(letter),
    name,
    hostMgmtIp,
    address,
    state,
    namespace: 'shop',
    health: 'unknown',
  });
endpoints.finish();

/** What this host's Podman has: `web`, `twin`, and `idle`, which never had an address. */
const facts: Record<string, ContainerFacts> = Object.fromEntries(
  (
    [
      ['a', 'web', 'running', [['mesh', '10.210.0.2']]],
      ['e', 'twin', 'running', [['mesh', '10.210.0.5']]],
      ['f', 'idle', 'created', [['mesh', '']]],
      [
        '1',
        'two',
        'running',
        [
          ['mesh', '10.210.0.6'],
          ['app', '10.220.0.6'],
        ],
      ],
    ] as const
  ).map(([letter, name, state, networks]) => [
    name,
    {
      id: idOf(letter),
      name,
      state,
      health: 'unknown',
      networks: new Map<string, string>(networks),
      aliases: new Map(),
    },
  ]),
);

const answered = (addresses: string[], leftOut: 'not_running'[] = []) => ({
  name: '',
  inZone: true,
  rcode: 'NOERROR',
  ttl: 5,
  names: [],
  answers: addresses.map(address => ({ address, hostMgmtIp: far, containerId: '' })),
  leftOut: leftOut.map(reason => ({ address: '', hostMgmtIp: far, containerId: '', reason })),
});
const options: FlowEndsOptions = {
  directory,
  zone: 'coolify.internal',
  hostMgmtIp: own,
  lifecycle: {
    facts: async named => {
      const found = facts[named] ?? Object.values(facts).find(({ id }) => id.startsWith(named));
      if (found === undefined) throw new VerbError('container_not_found', 'none');
      return found;
    },
  },
  async lookUp(name) {
    if (name.startsWith('db.')) return answered(['10.210.8.2']);
    if (name.startsWith('many.')) return answered(['10.210.8.2', '10.210.8.3']);
    return answered([], name.startsWith('stopped.') ? ['not_running'] : []);
  },
};
const read = (text: string) => readFlowEnd(text, 'dst', options, AbortSignal.timeout(5000));

test.each([
  ['web', ['10.210.0.2'], 'web', own],
  [idOf('a').slice(0, 12), ['10.210.0.2'], 'web', own],
  ['db', ['10.210.8.2'], 'db', far],
  [idOf('b').slice(0, 12), ['10.210.8.2'], 'db', far],
  ['DB.shop.coolify.internal', ['10.210.8.2'], 'db', far],
  ['10.210.8.3', ['10.210.8.3'], 'twin', far],
  ['two', ['10.210.0.6', '10.220.0.6'], 'two', own],
])('%s is found', async (text, addresses, name, hostMgmtIp) => {
  expect(await read(text)).toMatchObject({ addresses, container: { name, hostMgmtIp } });
});

test('an address that no container has is one all the same', async () => {
  expect(await read('10.210.0.99')).toEqual({ addresses: ['10.210.0.99'], container: undefined });
});

test.each([
  ['', 'invalid_request', /expected a container/],
  ['nosuch', 'container_not_found', /no container of the mesh is named nosuch/],
  ['b'.repeat(11), 'container_not_found', /no container/],
  ['twin', 'invalid_request', /name one of 10\.210\.0\.5, 10\.210\.8\.3/],
  ['many.shop.coolify.internal', 'invalid_request', /name one of 10\.210\.8\.2, 10\.210\.8\.3/],
  ['nosuch.shop.coolify.internal', 'container_not_found', /no container has the name/],
  ['stopped.shop.coolify.internal', 'container_state', /not running/],
  ['idle', 'container_state', /has no address \(it is created\)/],
  ['gone', 'container_state', /has no address \(it is exited\)/],
  ['fe80::1%eth0', 'invalid_request', /IPv6/],
  ['fd00::1', 'invalid_request', /IPv6/],
  ['10.210.0.0/24', 'invalid_request', /expected 1 to 128/],
  ['a b', 'invalid_request', /expected 1 to 128/],
])('%j is refused by its field', async (text, reason, message) => {
  await expect(read(text)).rejects.toMatchObject({
    reason,
    field: 'dst',
    message: expect.stringMatching(message),
  });
});
