import { createLogger } from '@coold/runtime';
import { scratchFolder } from '@coold/testbed';
import { createPacketFilter } from '@coold/testbed/packet-filter';
import { soon } from '@coold/testbed/soon';
import { expect, test } from 'vitest';
import { createAnnouncement } from './announcement.ts';
import { applyGuard } from './apply-scaffold.ts';
import { keepGuard, renderApiGuard } from './keep-guard.ts';
import type { Scaffold } from './scaffold.ts';

const scaffold: Scaffold = {
  ...{ subnets: ['10.210.0.0/24'], pools: ['10.210.0.0/16'], joined: [] },
  ...{ mgmtNetworks: ['100.64.0.0/16'], apiPorts: [8443], wgInterface: 'wg0', chainName: 'COOLIFY-ALLOW' },
};

test('sockets of IPv6 are nothing that containers of the mesh could reach', () => {
  const sockets = [
    { host: '100.64.0.1', port: 8443 },
    { host: 'fd00::1', port: 9100 },
  ];
  expect(renderApiGuard(sockets, ['10.210.0.9/32'], false)).toBe(
    'add element inet coolify_guard api_sockets { 100.64.0.1 . 8443 }\n' +
      'add element inet coolify_guard api_clients { 10.210.0.9/32 }\n',
  );
  expect(renderApiGuard([], [], false)).toBe('');
});

test('the guard knows what coold listens on, also one that is put in or made anew later, and keeps it', async () => {
  await using folder = await scratchFolder();
  await using filter = await createPacketFilter(folder.path);
  const machinePath = process.env['PATH'];
  process.env['PATH'] = filter.path;
  try {
    const stopping = new AbortController();
    const changes = createAnnouncement();
    const looked = Promise.withResolvers<void>();
    const kept = keepGuard({
      sockets: [{ host: '100.64.0.1', port: 9443 }],
      clients: ['10.210.0.9/32'],
      ...{ changes, onFirstLook: looked.resolve },
      log: createLogger('test', { level: 'off', components: new Map() }, false),
    })(stopping.signal);
    await looked.promise;
    expect(await filter.nft('list', 'ruleset'), 'a permissive host stays one').not.toContain('coolify');
    await applyGuard(scaffold);
    await filter.nft('add', 'element', 'inet', 'coolify_guard', 'api_sockets', '{ 100.64.0.1 . 8443 }');
    const sets = async () => {
      const text = await filter.nft('list', 'table', 'inet', 'coolify_guard');
      return ['100.64.0.1 . 9443', '100.64.0.1 . 8443', '10.210.0.9'].filter(one => text.includes(one));
    };
    changes.announce();
    await soon(async () => expect(await sets()).toEqual(['100.64.0.1 . 9443', '10.210.0.9']));
    await applyGuard(scaffold);
    expect(await sets()).toEqual(['100.64.0.1 . 9443', '10.210.0.9']);
    await filter.nft('delete', 'table', 'inet', 'coolify_guard');
    await applyGuard(scaffold);
    changes.announce();
    await soon(async () => expect(await sets()).toEqual(['100.64.0.1 . 9443', '10.210.0.9']));
    stopping.abort();
    await kept;
  } finally {
    process.env['PATH'] = machinePath;
  }
});
