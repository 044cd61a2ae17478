import { VerbError } from '@coold/errors';
import { testLog } from '@coold/testbed/corrosion';
import { expect, test } from 'vitest';
import { forever, hostMgmtIp, namespaces } from '../../../test/mesh-host.ts';
import type { ContainerFacts, Listed } from '../../podman/lifecycle.ts';
import { createHostContainers } from './host-containers.ts';

/** A Podman whose every answer is given by hand. */
function createSlowPodman() {
  const lists: PromiseWithResolvers<Listed[]>[] = [];
  const inspections: PromiseWithResolvers<ContainerFacts>[] = [];
  const asked = <T>(queue: PromiseWithResolvers<T>[]) => {
    const answer = Promise.withResolvers<T>();
    queue.push(answer);
    return answer.promise;
  };
  const containers = createHostContainers({
    lifecycle: { list: () => asked(lists), facts: () => asked(inspections), events: () => Promise.resolve() },
    networks: { list: async () => [] },
    namespaces,
    namespaceLabel: 'namespace',
    hostMgmtIp,
    onNetworks: () => {},
    log: testLog(),
  });
  return { containers, lists, inspections };
}

const facts = (id: string, state: string): ContainerFacts => ({
  id,
  name: id,
  state,
  health: 'unknown',
  networks: new Map([['mesh', '10.231.1.2']]),
  aliases: new Map(),
});
const gone = new VerbError('container_not_found', 'no such container');
const change = (id: string) => [[id, 'change'] as const];

test('of two looks at a container at once, the one that began later counts', async () => {
  const { containers, inspections } = createSlowPodman();
  const looks = [
    containers.lookAt(change('a'), forever),
    containers.lookAt(change('a'), forever),
    containers.lookAt(change('a'), forever),
  ];
  inspections[1]?.resolve(facts('a', 'exited'));
  await looks[1];
  inspections[0]?.resolve(facts('a', 'running'));
  await looks[0];
  expect(containers.facts('a')?.state).toBe('exited');
  inspections[2]?.reject(gone);
  await looks[2];
  expect(containers.has('a')).toBe(false);
});

test('a container that is gone does not come back by a look that began before', async () => {
  const { containers, inspections } = createSlowPodman();
  const looks = [containers.lookAt(change('a'), forever), containers.lookAt(change('a'), forever)];
  inspections[1]?.reject(gone);
  await looks[1];
  inspections[0]?.resolve(facts('a', 'running'));
  await looks[0];
  expect(containers.has('a')).toBe(false);
});

test('a container that is inspected while the list is made is not forgotten because the list is older', async () => {
  const { containers, lists, inspections } = createSlowPodman();
  const looking = containers.lookAtAll(forever);
  const heard = containers.lookAt(change('a'), forever);
  inspections[0]?.resolve(facts('a', 'running'));
  await heard;
  lists[0]?.resolve([]);
  await looking;
  expect(containers.rows()?.get('a')).toMatchObject({ state: 'running' });
  const again = containers.lookAtAll(forever);
  lists[1]?.resolve([]);
  await again;
  expect(containers.has('a')).toBe(false);
});
