import { flow, ruleId } from '../quickstart/story/calls.ts';
import { fieldOf } from '../quickstart/story/wanted.ts';
import type { DemoHost } from './ground.ts';
import type { Laravel } from './laravel.ts';
import type { Visits } from './visits.ts';

/** The state that the chapters of the story share. */
export interface World {
  hosts: readonly [DemoHost, DemoHost, DemoHost];
  laravel: Laravel;
  /** The git repository of the site, as builds clone it. */
  repository: string;
  /** The registry for images: the beginning of a reference. */
  registry: string;
  /** References of the built images, by version. */
  images: Partial<Record<'v1' | 'v2', string>>;
  /** The visitor, once it has begun. */
  visits: Visits | undefined;
  /** Called when the visits have begun. */
  visiting(visits: Visits): void;
}

/** A chapter of the story: its title for the progress line, and the facts for the story's JSON. */
export interface Chapter {
  step: string;
  title: string;
  run(world: World): Promise<Record<string, unknown>>;
}

export const serviceName = 'web.default.coolify.internal';
export const pages = { v1: '<h1>version 1</h1>', v2: '<h1>version 2</h1>' } as const;

/** The containers of the story, each with the index of its host and the last number of its address. */
const containers = {
  visitor: { on: 1, number: 10 },
  'web-1': { on: 2, number: 11 },
  'web-2': { on: 0, number: 12 },
  'web-3': { on: 2, number: 13 },
} as const;
export type Container = keyof typeof containers;

export function hostOf({ hosts }: World, container: Container): DemoHost {
  return hosts[containers[container].on];
}

/** Returns a container's address, which is fixed so that rules can name it before it exists. */
export function addressOf(world: World, container: Container): string {
  const { gateway = '' } = hostOf(world, container).namespaces['default'] ?? {};
  return gateway.replace(/\.1$/, `.${containers[container].number}`);
}

/** Returns the flow from the visitor to a container's page. */
function flowTo(world: World, container: Container) {
  return flow(addressOf(world, 'visitor'), addressOf(world, container));
}

/** Allows the flow, on the destination's host only. */
export async function allow(world: World, container: Container): Promise<void> {
  const command = { type: 'firewall.allow', ...flowTo(world, container) };
  await world.laravel.done(hostOf(world, container), command);
}

export async function revoke(world: World, container: Container): Promise<void> {
  const command = { type: 'firewall.revoke', id: ruleId(flowTo(world, container)) };
  await world.laravel.done(hostOf(world, container), command);
}

/** Returns the verdict of the destination's kernel on the flow: `passes`, `blocked` or `unknown`. */
export async function verdictOn(world: World, container: Container): Promise<string> {
  const { namespace: _, ...packet } = flowTo(world, container);
  const data = await world.laravel.done(hostOf(world, container), { type: 'firewall.explain', ...packet });
  return String(fieldOf(data, 'verdict'));
}

/** Creates and starts a container of the site, and waits until it is healthy. */
export async function run(
  world: World,
  container: 'web-1' | 'web-2' | 'web-3',
  image: string,
): Promise<void> {
  const { laravel } = world;
  const host = hostOf(world, container);
  await laravel.done(host, { type: 'images.pull', ref: image });
  await laravel.done(host, {
    type: 'containers.create',
    name: container,
    image,
    network: networkOf(host),
    ip: addressOf(world, container),
    init: true,
    stop_timeout: 1,
    restart_policy: 'always',
    command: ['httpd', '-f', '-p', '80', '-h', '/usr/share/nginx/html'],
    healthcheck: { test: ['CMD', 'wget', '-qO-', 'http://127.0.0.1/'], interval: '2s', retries: 5 },
  });
  await laravel.done(host, { type: 'containers.start', id: container });
  await laravel.until(host, { type: 'containers.healthcheck', id: container }, data =>
    fieldOf(data, 'status') === 'healthy' ? true : undefined,
  );
}

export function networkOf(host: DemoHost): string {
  return host.namespaces['default']?.network ?? '';
}

export async function register(world: World, container: Container): Promise<void> {
  const service = { service_id: 'web', name: 'web', namespace: 'default', container_id: container, port: 80 };
  await world.laravel.done(hostOf(world, container), { type: 'services.register', ...service });
}

export async function unregister(world: World, container: Container): Promise<void> {
  const command = { type: 'services.unregister', id: 'web', container_id: container };
  await world.laravel.done(hostOf(world, container), command);
}

/** Repeats until the visitor's host answers the name with exactly these containers' addresses. */
export async function resolves(world: World, ...wanted: readonly Container[]): Promise<string[]> {
  const addresses = wanted.map(container => addressOf(world, container)).toSorted();
  return await world.laravel.until(
    hostOf(world, 'visitor'),
    { type: 'dns.lookup', name: serviceName },
    data => {
      const answers = fieldOf(data, 'answers');
      const found = (Array.isArray(answers) ? answers : []).map((answer: unknown) =>
        String(fieldOf(answer, 'address')),
      );
      return found.toSorted().join() === addresses.join() ? found : undefined;
    },
  );
}

/** @throws Error before the chapter that starts the visits */
export function visitsOf({ visits }: World): Visits {
  if (visits === undefined) throw new Error('nothing asks for the page yet');
  return visits;
}
