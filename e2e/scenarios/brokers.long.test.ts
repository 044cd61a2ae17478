// Three brokers behind a TCP balancer, each on a host of the fleet. Every broker reaches all hosts, whichever broker
// holds their streams.
import { createAuthority, scratchFolder } from '@coold/testbed';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startBalancer } from '../harness/balancer.ts';
import { joinBrokerPeers } from '../harness/broker-peers.ts';
import { eventually } from '../harness/eventually.ts';
import {
  askLane,
  createFleet,
  type Dispatched,
  type Fleet,
  type FleetHost,
  streamsOf,
} from '../harness/fleet.ts';
import { expectExec, type Provider } from '../harness/provider.ts';
import { journalsOnFailure } from './journals.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
const grpcPort = 6443;

let provider: Provider;
let fleet: Fleet;

beforeAll(async () => {
  const ground = await chooseGround();
  provider = ground.provider;
  await using folder = await scratchFolder();
  const authority = await createAuthority(folder.path);
  const [balancer] = await provider.up(['lb']);
  if (balancer === undefined) throw new Error('one host was asked for');
  const addresses: string[] = [];
  fleet = await createFleet(ground, ['a', 'b', 'c'], ['default'], {
    brokers: {
      dialled: `${balancer.address}:${grpcPort}`,
      async configure(member) {
        addresses.push(member.host.address);
        if (addresses.length === 3) await startBalancer(balancer, addresses, grpcPort);
        return await joinBrokerPeers(authority, member, `broker-${member.name}`);
      },
    },
  });
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);
beforeEach(() => journalsOnFailure(fleet));

/** Each dispatch has a new request id, since a late answer is kept for the caller that repeats an id. */
let asked = 0;

async function dispatch(from: FleetHost, hostId: string): Promise<Omit<Dispatched, 'ms'>> {
  asked += 1;
  const body = { host_id: hostId, request_id: `brokers-${asked}`, command: { type: 'list_containers' } };
  return (await askLane(from, 'POST', '/v1/coold/dispatch', JSON.stringify(body))) as Omit<Dispatched, 'ms'>;
}

/** Returns the broker's host that holds each host's stream, by host id. */
async function holders(brokers: readonly FleetHost[]): Promise<Map<string, FleetHost>> {
  const lists = await Promise.all(
    brokers.map(async broker => ({ broker, streams: await streamsOf(broker) })),
  );
  return new Map(
    lists.flatMap(({ broker, streams }) => streams.map(({ host_id: id }) => [id, broker] as const)),
  );
}

/** Resolves once each of these brokers answers for every host. */
async function allReached(brokers: readonly FleetHost[], timeoutMs: number): Promise<void> {
  for (const broker of brokers)
    for (const { name } of fleet.hosts)
      await eventually(
        `${name} to answer a dispatch of ${broker.name}’s broker`,
        async () => ((await dispatch(broker, name)).status === 200 ? true : undefined),
        { timeoutMs },
      );
}

const named = (name: string): FleetHost => {
  const found = fleet.hosts.find(host => host.name === name);
  if (found === undefined) throw new Error(`no host ${name}`);
  return found;
};

describe('three brokers behind a balancer:', () => {
  test('the hosts are distributed, and each broker reaches them all', async () => {
    const spread = async () => {
      const held = await holders(fleet.hosts);
      if (new Set(held.values()).size >= 2) return true;
      await expectExec(named('c').host, ['systemctl', 'restart', 'coold.service']);
      return undefined;
    };
    await eventually('the hosts to be spread', spread, { timeoutMs: 60_000, everyMs: 3000 });
    await fleet.allConnected(60_000);
    await allReached(fleet.hosts, 30_000);
  }, 180_000);

  test('a killed broker makes its hosts reconnect, and affects no other host', async () => {
    const held = await holders(fleet.hosts);
    // Laravel's dispatches go to a broker that survives.
    const victim = [...held.values()].find(broker => broker.name !== 'a');
    if (victim === undefined) throw new Error('all hosts are on one broker');
    const survivors = fleet.hosts.filter(host => host !== victim);
    const orphans = [...held].filter(([, broker]) => broker === victim).map(([id]) => id);
    const others = fleet.hosts.map(({ name }) => name).filter(name => !orphans.includes(name));
    const dropIn = '/run/systemd/system/broker.service.d/stay-dead.conf';
    await victim.host.put('[Service]\nRestart=no\n', dropIn, 0o644);
    await expectExec(victim.host, ['systemctl', 'daemon-reload']);
    await expectExec(victim.host, ['systemctl', 'kill', '--signal=KILL', 'broker.service']);

    const seen = new Set<number>();
    const back = async () => {
      for (const id of others)
        expect(await dispatch(named('a'), id), `${id}, whose broker lives`).toMatchObject({ status: 200 });
      const answers = await Promise.all(orphans.map(id => dispatch(named('a'), id)));
      for (const { status } of answers) seen.add(status);
      for (const { status, body } of answers)
        if (status === 503)
          expect(body.message).toContain(`is connected to broker broker-${victim.name} at `);
      return answers.every(({ status }) => status === 200) || undefined;
    };
    await eventually('the hosts of the killed broker to answer', back, { timeoutMs: 120_000 });
    expect([...seen].filter(status => status !== 200 && status !== 503)).toEqual([]);
    await allReached(survivors, 60_000);
    expect((await holders(survivors)).size).toBe(fleet.hosts.length);

    await expectExec(victim.host, ['rm', dropIn]);
    await expectExec(victim.host, ['systemctl', 'daemon-reload']);
    await expectExec(victim.host, ['systemctl', 'start', 'broker.service']);
    await allReached([victim], 60_000);
  }, 300_000);

  test('a stopped broker hands over its hosts and gets no more requests', async () => {
    const held = await holders(fleet.hosts);
    const [leaving] = held.values();
    if (leaving === undefined) throw new Error('no broker has a host');
    await expectExec(leaving.host, ['systemctl', 'stop', 'broker.service'], { timeoutMs: 30_000 });
    const survivors = fleet.hosts.filter(host => host !== leaving);
    await allReached(survivors, 90_000);
    await expectExec(leaving.host, ['systemctl', 'start', 'broker.service']);
    await allReached(fleet.hosts, 60_000);
  }, 240_000);
});
