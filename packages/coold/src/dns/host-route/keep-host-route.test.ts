// What systemd-resolved does by itself is in the scenario host-route; here it is a fake, for what that cannot be made to do.
import { expect, it } from 'vitest';
import { silent } from '../../../test/dns-questions.ts';
import { keepHostRoute } from './keep-host-route.ts';
import { type LinkDns, type Resolve1, Resolve1Error } from './resolve1.ts';

const zone = 'coolify.internal';
const server = '127.0.64.53';
const nothing: LinkDns = { servers: [], domains: [], isDefaultRoute: false };
const ours: LinkDns = { ...nothing, servers: [server], domains: [{ name: zone, isRouteOnly: true }] };

function start(options: { isServed?: () => boolean; dns?: LinkDns } = {}) {
  const resolved: { dns: LinkDns | Error; index: number | undefined; calls: string[] } = {
    dns: options.dns ?? nothing,
    index: 5,
    calls: [],
  };
  const answer = () => {
    if (resolved.dns instanceof Error) throw resolved.dns;
    return resolved.dns;
  };
  const resolve1: Resolve1 = {
    read: async () => answer(),
    async route(index, at, domain) {
      answer();
      resolved.calls.push(`route ${index} ${at} ${domain}`);
      resolved.dns = ours;
    },
    async revert(index) {
      resolved.calls.push(`revert ${index}`);
      resolved.dns = nothing;
    },
  };
  const route = keepHostRoute({
    link: 'wg0',
    zone,
    server,
    resolve1,
    log: silent,
    lookEveryMs: 5,
    isServed: options.isServed ?? (() => true),
    indexOf: async () => resolved.index,
  });
  const stop = new AbortController();
  const ended = route.run(stop.signal);
  return {
    resolved,
    state: route.state,
    inPlace: () => expect.poll(() => route.state.problem).toBeUndefined(),
    problem: (part: string) => expect.poll(() => route.state.problem).toContain(part),
    async stop() {
      stop.abort();
      await ended;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

it('waits until coold answers there, sets the route once, and takes it back at the end', async () => {
  let isServed = false;
  await using kept = start({ isServed: () => isServed });
  expect(kept.state.problem).toBe('wg0 has no route to the zone yet');
  expect(kept.resolved.calls).toEqual([]);
  isServed = true;
  await kept.inPlace();
  await kept.stop();
  expect(kept.resolved.calls).toEqual([`route 5 ${server} ${zone}`, 'revert 5']);
});

it('sets it again when it is lost, also on a link that is another by then', async () => {
  await using kept = start();
  await kept.inPlace();
  kept.resolved.dns = nothing;
  await expect.poll(() => kept.resolved.calls.length).toBe(2);
  kept.resolved.index = undefined;
  await kept.problem('there is no wg0');
  [kept.resolved.index, kept.resolved.dns] = [9, nothing];
  await kept.inPlace();
  expect(kept.resolved.calls.at(-1)).toBe(`route 9 ${server} ${zone}`);
});

it('reports the error of systemd-resolved while it fails, and continues once it works', async () => {
  await using kept = start();
  await kept.inPlace();
  kept.resolved.dns = new Resolve1Error('systemd-resolved: Unit dbus-org.freedesktop.resolve1 not found');
  await kept.problem('not found');
  kept.resolved.dns = nothing;
  await kept.inPlace();
});

it("neither sets nor takes away what is another's", async () => {
  await using kept = start({ dns: { ...nothing, servers: ['192.0.2.1'] } });
  await kept.problem('resolvers 192.0.2.1');
  kept.resolved.dns = nothing;
  await kept.inPlace();
  kept.resolved.dns = { ...ours, servers: [server, '192.0.2.1'] };
  await kept.stop();
  expect(kept.resolved.calls).toEqual([`route 5 ${server} ${zone}`]);
});
