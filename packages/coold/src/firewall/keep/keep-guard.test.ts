import { createChangeSignal } from '@coold/runtime';
import { createLogger } from '@coold/runtime/logger';
import { scratchFolder } from '@coold/testbed';
import { createPacketFilter } from '@coold/testbed/packet-filter';
import { soon } from '@coold/testbed/soon';
import { expect, test } from 'vitest';
import type { Scaffold } from '../deny/scaffold.ts';
import { type KernelView, noKernelView } from '../netlink/kernel-view.ts';
import { applyGuard } from '../scaffold/apply-scaffold.ts';
import { ownSockets, renderApiGuard } from './api-guard.ts';
import { keepGuard } from './keep-guard.ts';

const scaffold: Scaffold = {
  subnets: ['10.210.0.0/24'],
  pools: ['10.210.0.0/16'],
  joined: [],
  mgmtNetworks: ['100.64.0.0/16'],
  apiPorts: [8443],
  wgInterface: 'wg0',
  chainName: 'COOLIFY-ALLOW',
};

test('the guard gets the ports of the REST API and of the metrics, if they have an address', () => {
  const [apiBind, metricsBind] = [8443, 9464].map(port => ({ host: '100.64.0.1', port }));
  expect(ownSockets({ apiBind, metricsBind })).toEqual([apiBind, metricsBind]);
  expect(ownSockets({ apiBind: undefined, metricsBind })).toEqual([metricsBind]);
  expect(ownSockets({ apiBind: undefined, metricsBind: undefined })).toEqual([]);
});

test('sockets of IPv6 are nothing that containers of the mesh could reach', () => {
  const sockets = [
    { host: '100.64.0.1', port: 8443 },
    { host: 'fd00::1', port: 9100 },
  ];
  const guard = { sockets, clients: ['10.210.0.9/32'], isTold: false };
  expect(renderApiGuard(guard, false)).toBe(
    'add element inet coolify_guard api_sockets { 100.64.0.1 . 8443 }\n' +
      'add element inet coolify_guard api_clients { 10.210.0.9/32 }\n',
  );
  expect(renderApiGuard({ ...guard, sockets: [], clients: [] }, false)).toBe('');
});

/** Keeps the guard of a packet filter of its own. */
async function startKeeping(view?: KernelView) {
  const resources = new AsyncDisposableStack();
  const folder = resources.use(await scratchFolder());
  const filter = resources.use(await createPacketFilter(folder.path));
  const machinePath = process.env['PATH'];
  resources.defer(() => {
    process.env['PATH'] = machinePath;
  });
  process.env['PATH'] = filter.path;
  const stopping = new AbortController();
  const changes = createChangeSignal();
  const looked = Promise.withResolvers<void>();
  const problem: { why: string | undefined } = { why: undefined };
  const kept = keepGuard({
    apiGuard: { sockets: [{ host: '100.64.0.1', port: 9443 }], clients: ['10.210.0.9/32'], isTold: false },
    changes,
    onProblem(why) {
      problem.why = why;
    },
    onFirstLook: looked.resolve,
    ...(view === undefined ? {} : { view }),
    log: createLogger('test', { level: 'off', components: new Map() }, false),
  })(stopping.signal);
  resources.defer(async () => {
    stopping.abort();
    await kept;
  });
  await looked.promise;
  const sets = async () => {
    const text = await filter.nft('list', 'table', 'inet', 'coolify_guard');
    return ['100.64.0.1 . 9443', '100.64.0.1 . 8443', '10.210.0.9'].filter(one => text.includes(one));
  };
  return { filter, changes, sets, problem, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

test('the guard has the ports that coold listens on, also when it is created later or anew', async () => {
  await using keeping = await startKeeping();
  const { filter, changes, sets } = keeping;
  expect(await filter.nft('list', 'ruleset'), 'a permissive host stays one').not.toContain('coolify');
  await applyGuard(scaffold);
  await filter.nft('add', 'element', 'inet', 'coolify_guard', 'api_sockets', '{ 100.64.0.1 . 8443 }');
  changes.announce();
  await soon(async () => expect(await sets()).toEqual(['100.64.0.1 . 9443', '10.210.0.9']));
  await applyGuard(scaffold);
  expect(await sets()).toEqual(['100.64.0.1 . 9443', '10.210.0.9']);
  await filter.nft('delete', 'table', 'inet', 'coolify_guard');
  await applyGuard(scaffold);
  changes.announce();
  await soon(async () => expect(await sets()).toEqual(['100.64.0.1 . 9443', '10.210.0.9']));
});

test('a guard that cannot be written is a problem until it can be', async () => {
  await using keeping = await startKeeping();
  const { filter, changes, sets, problem } = keeping;
  await applyGuard(scaffold);
  await filter.nft('delete', 'table', 'inet', 'coolify_guard');
  // A guard that another program has replaced by one without sets.
  await filter.nft('add', 'table', 'inet', 'coolify_guard');
  await filter.nft('add', 'chain', 'inet', 'coolify_guard', 'arrive');
  changes.announce();
  await soon(async () => expect(problem.why).toMatch(/nft -f - failed .*api_sockets/s));
  await filter.nft('delete', 'table', 'inet', 'coolify_guard');
  await applyGuard(scaffold);
  changes.announce();
  await soon(async () => expect(problem.why).toBeUndefined());
  expect(await sets()).toEqual(['100.64.0.1 . 9443', '10.210.0.9']);
});

test('a guard that is created right after a check found none gets the ports at the next check', async () => {
  let generation = 1;
  let asked = 0;
  await using keeping = await startKeeping({
    ...noKernelView,
    async moment() {
      asked += 1;
      // Between the look for the guard and what the look is remembered by: one transaction.
      if (asked === 2) {
        await applyGuard(scaffold);
        generation += 1;
      }
      return { generation, beside: '' };
    },
  });
  const { changes, sets } = keeping;
  expect(await sets()).toEqual([]);
  changes.announce();
  await soon(async () => expect(await sets()).toEqual(['100.64.0.1 . 9443', '10.210.0.9']));
});
