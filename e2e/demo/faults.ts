// The second half of the story: a cut cable, a killed broker, and a host without power.
import { errorMessage } from '@coold/runtime';
import { eventually } from '../harness/eventually.ts';
import { expectExec } from '../harness/provider.ts';
import { fieldOf } from '../quickstart/story/wanted.ts';
import { imageOf } from './deployment.ts';
import { countFlows } from './flows.ts';
import { cooldSocket, type DemoHost } from './ground.ts';
import { between } from './visits.ts';
import { askStatus } from './watch.ts';
import {
  allow,
  type Chapter,
  hostOf,
  register,
  resolves,
  run,
  verdictOn,
  visitsOf,
  type World,
} from './world.ts';

const convincing = 5;
const patienceMs = 120_000;
/** systemd would restart it within a second; a machine that is gone does not. */
const stayDead = '/run/systemd/system/broker.service.d/stay-dead.conf';

export const faults: readonly Chapter[] = [
  {
    step: 'scale',
    title: 'allow it again, and run a second version 2 on host-3 behind the same name',
    async run(world) {
      await allow(world, 'web-2');
      await run(world, 'web-3', imageOf(world, 'v2'));
      await allow(world, 'web-3');
      await register(world, 'web-3');
      const addresses = await resolves(world, 'web-2', 'web-3');
      await visitsOf(world).untilInARow('v2', convincing);
      return { addresses };
    },
  },
  {
    step: 'partition',
    title: 'cut WireGuard of host-3: half of the requests get no answer',
    async run(world) {
      const host = hostOf(world, 'web-3');
      const before = visitsOf(world).counts();
      await expectExec(host.host, ['systemctl', 'stop', 'wg-quick@wg0.service']);
      await visitsOf(world).untilInARow('failed', 1);
      const wg0 = await meshIsUp(host, false);
      // Its stream to the broker does not use WireGuard.
      await world.laravel.done(host, { type: 'host.info' });
      return { host: host.name, wg0, stream: 'up', visits: between(before, visitsOf(world).counts()) };
    },
  },
  {
    step: 'heal',
    title: 'heal it: every request has an answer again',
    async run(world) {
      const host = hostOf(world, 'web-3');
      await expectExec(host.host, ['systemctl', 'start', 'wg-quick@wg0.service']);
      const wg0 = await meshIsUp(host, true);
      await resolves(world, 'web-2', 'web-3');
      await visitsOf(world).untilInARow('v2', 2 * convincing);
      return { host: host.name, wg0, verdict: await verdictOn(world, 'web-3') };
    },
  },
  {
    step: 'broker',
    title: 'kill broker-1: broker-2 takes over its hosts, and no request notices',
    async run(world) {
      const [victim, heir] = world.hosts;
      const before = visitsOf(world).counts();
      await victim.host.put('[Service]\nRestart=no\n', stayDead, 0o644);
      await expectExec(victim.host, ['systemctl', 'daemon-reload']);
      await expectExec(victim.host, ['systemctl', 'kill', '--signal=KILL', 'broker.service']);
      await world.laravel.moveTo(heir);
      await holdsAll(world);
      for (const host of world.hosts) await world.laravel.done(host, { type: 'host.info' });
      return {
        killed: victim.brokerId,
        takes_over: heir.brokerId,
        visits: between(before, visitsOf(world).counts()),
      };
    },
  },
  {
    step: 'broker-back',
    title: 'start broker-1 again: it reaches all hosts by way of broker-2',
    async run(world) {
      const [victim] = world.hosts;
      await expectExec(victim.host, ['rm', stayDead]);
      await expectExec(victim.host, ['systemctl', 'daemon-reload']);
      await expectExec(victim.host, ['systemctl', 'start', 'broker.service']);
      await world.laravel.moveTo(victim);
      for (const host of world.hosts) await world.laravel.done(host, { type: 'host.info' });
      return { by_way_of: victim.brokerId };
    },
  },
  {
    step: 'power',
    title: 'cut the power of host-3: its addresses go from the name, and the page still arrives',
    async run(world) {
      const before = visitsOf(world).counts();
      const host = hostOf(world, 'web-3');
      await host.host.crash();
      const addresses = await resolves(world, 'web-2');
      await visitsOf(world).untilInARow('v2', 2 * convincing);
      return { host: host.name, addresses, visits: between(before, visitsOf(world).counts()) };
    },
  },
  {
    step: 'boot',
    title: 'power it on again: its containers, rules and addresses come back by themselves',
    async run(world) {
      const host = hostOf(world, 'web-3');
      await host.host.boot();
      await countFlows(host.host);
      const addresses = await resolves(world, 'web-2', 'web-3');
      await visitsOf(world).untilInARow('v2', 2 * convincing);
      return { host: host.name, addresses, verdict: await verdictOn(world, 'web-3') };
    },
  },
];

/** Waits until coold reports this state of wg0. */
async function meshIsUp(host: DemoHost, wanted: boolean): Promise<'up' | 'down'> {
  let said: unknown;
  await eventually(
    `coold of ${host.name} to see wg0 ${wanted ? 'up' : 'down'}`,
    async () => {
      said = await askStatus(cooldSocket(host));
      return fieldOf(fieldOf(said, 'mesh'), 'address_up') === wanted ? true : undefined;
    },
    { timeoutMs: patienceMs, everyMs: 200 },
  ).catch((error: unknown) => {
    throw new Error(`${errorMessage(error)}; its last status: ${JSON.stringify(said) ?? 'none'}`, {
      cause: error,
    });
  });
  return wanted ? 'up' : 'down';
}

/** Waits until Laravel's broker has the streams of all hosts. */
async function holdsAll({ hosts, laravel }: World): Promise<void> {
  const wanted = hosts.map(({ name }) => name).toSorted();
  await eventually(
    `${laravel.at().brokerId} to have all hosts`,
    async () => {
      const { body } = await laravel.lane().call({ method: 'GET', path: '/v1/streams' });
      const there = (Array.isArray(body) ? body : []).map((stream: unknown) =>
        String(fieldOf(stream, 'host_id')),
      );
      return there.toSorted().join() === wanted.join() ? true : undefined;
    },
    { timeoutMs: patienceMs, everyMs: 200 },
  );
}
