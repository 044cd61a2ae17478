// The first half of the story: a deployment across hosts, made as Laravel makes it.
import { busyboxImage } from '../harness/images.ts';
import { fieldOf } from '../quickstart/story/wanted.ts';
import { between, startVisits } from './visits.ts';
import {
  addressOf,
  allow,
  type Chapter,
  hostOf,
  networkOf,
  pages,
  register,
  resolves,
  revoke,
  run,
  serviceName,
  unregister,
  verdictOn,
  visitsOf,
  type World,
} from './world.ts';

/** How many requests in a row prove a change. */
const convincing = 5;
/** How many blocked requests in a row prove that a flow is shut. Each takes its timeout of 3 s. */
const convincinglyShut = 2;

export const deployment: readonly Chapter[] = [
  {
    step: 'build',
    title: 'build two versions of a site from a git repository on host-1, and push them to a registry',
    async run(world) {
      const [v1, v2] = await Promise.all([build(world, 'v1'), build(world, 'v2')]);
      world.images = { v1, v2 };
      return { on: world.hosts[0].name, images: { v1, v2 } };
    },
  },
  {
    step: 'run',
    title: 'run version 1 on host-3, and a visitor on host-2',
    async run(world) {
      const { laravel } = world;
      await run(world, 'web-1', imageOf(world, 'v1'));
      const host = hostOf(world, 'visitor');
      await laravel.done(host, {
        type: 'containers.create',
        name: 'visitor',
        image: busyboxImage,
        network: networkOf(host),
        ip: addressOf(world, 'visitor'),
        command: ['sleep', 'infinity'],
        init: true,
        stop_timeout: 1,
      });
      await laravel.done(host, { type: 'containers.start', id: 'visitor' });
      return { 'web-1': hostOf(world, 'web-1').name, visitor: host.name };
    },
  },
  {
    step: 'resolve',
    title: `register it, and resolve ${serviceName} on host-2`,
    async run(world) {
      await register(world, 'web-1');
      return { name: serviceName, addresses: await resolves(world, 'web-1') };
    },
  },
  {
    step: 'shut',
    title: 'see that the flow from the visitor to it is shut',
    async run(world) {
      const host = hostOf(world, 'visitor').host;
      const visits = startVisits(host, 'visitor', `http://${serviceName}/`, pages);
      world.visits = visits;
      world.visiting(visits);
      await visits.untilInARow('failed', convincinglyShut);
      return { verdict: await verdictOn(world, 'web-1'), pages: visits.counts().v1 };
    },
  },
  {
    step: 'allow',
    title: 'allow this one flow, on host-3: the page arrives',
    async run(world) {
      await allow(world, 'web-1');
      await visitsOf(world).untilInARow('v1', convincing);
      return { verdict: await verdictOn(world, 'web-1') };
    },
  },
  {
    step: 'replace',
    title: 'replace version 1 on host-3 by version 2 on host-1, without a failed request',
    async run(world) {
      const visits = visitsOf(world);
      const before = visits.counts();
      await run(world, 'web-2', imageOf(world, 'v2'));
      await allow(world, 'web-2');
      await register(world, 'web-2');
      await resolves(world, 'web-1', 'web-2');
      await unregister(world, 'web-1');
      await resolves(world, 'web-2');
      // Cached answers last 5 s, so the visitor has to ask each time until then.
      await visits.untilInARow('v2', convincing);
      await revoke(world, 'web-1');
      await remove(world, 'web-1');
      return { visits: between(before, visits.counts()) };
    },
  },
  {
    step: 'revoke',
    title: 'revoke the flow: no page arrives any more',
    async run(world) {
      await revoke(world, 'web-2');
      await visitsOf(world).untilInARow('failed', convincinglyShut);
      return { verdict: await verdictOn(world, 'web-2') };
    },
  },
];

/** Builds and pushes a version. @returns the image reference by digest */
async function build({ laravel, hosts, repository, registry }: World, version: 'v1' | 'v2'): Promise<string> {
  const requestId = `demo-build-${version}`;
  const command = {
    type: 'static_build',
    repo_url: repository,
    git_ref: version,
    target_image: `${registry}/demo/web:${version}`,
    push: {},
    base_image: busyboxImage,
    base_images: [busyboxImage],
  };
  const body = { host_id: hosts[0].name, request_id: requestId, command };
  const taken = await laravel.lane().call({ method: 'POST', path: '/v1/build/dispatch', body });
  if (taken.status !== 202) throw new Error(`the build was refused: ${JSON.stringify(taken.body)}`);
  for (;;) {
    const path = `/v1/build/result/${requestId}?timeout_ms=10000`;
    const { status, body: result } = await laravel.lane().call({ method: 'GET', path });
    if (status === 408) continue; // the build goes on, and ends by its own time limit
    const ref = fieldOf(result, 'registry_ref');
    if (typeof ref !== 'string') throw new Error(`the build of ${version} failed: ${JSON.stringify(result)}`);
    return ref;
  }
}

/** @throws Error before the version was built */
export function imageOf({ images }: World, version: 'v1' | 'v2'): string {
  const image = images[version];
  if (image === undefined) throw new Error(`version ${version} is not built yet`);
  return image;
}

async function remove(world: World, container: 'web-1'): Promise<void> {
  const command = { type: 'containers.delete', id: container, force: true, timeout: 1 };
  await world.laravel.done(hostOf(world, container), command);
}
