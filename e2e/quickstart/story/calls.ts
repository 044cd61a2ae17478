// The calls of a deployment, as a Laravel app makes them. Pure.
import { createHash } from 'node:crypto';
import type { Act, Call, Command, Wanted } from './step.ts';
import { built, done, taken } from './wanted.ts';

/** The host and repository of the story. */
export interface Scene {
  hostId: string;
  /** The Podman network of the namespace `default`. */
  network: string;
  /** The first three numbers of its addresses, such as `10.210.0`. */
  prefix: string;
  /** URL of the site's repository. */
  repository: string;
  /** The base image of the site: an image of this host that serves /usr/share/nginx/html on port 80. */
  baseImage: string;
}

/** Returns the dispatch of a command to the host; the request id names its purpose. */
export function dispatch(scene: Scene, requestId: string, command: Command): Call {
  const body = { host_id: scene.hostId, request_id: requestId, command };
  return { method: 'POST', path: '/v1/coold/dispatch', body };
}

/** Returns a call that runs a program in a container. */
export function exec(scene: Scene, requestId: string, id: string, cmd: readonly string[]): Call {
  return dispatch(scene, requestId, { type: 'containers.exec', id, cmd });
}

/** The same, with its output as a stream. */
export function stream(scene: Scene, requestId: string, id: string, cmd: readonly string[]): Call {
  return { ...exec(scene, requestId, id, cmd), path: '/v1/coold/stream' };
}

export const once = (call: Call, wanted: Wanted = done): Act => ({ does: 'call', call, wanted });
export const until = (call: Call, wanted: Wanted): Act => ({ does: 'wait', call, wanted });

/** Returns the acts that request an image of a tag or branch and wait for it. */
export function build(scene: Scene, requestId: string, gitRef: string, image: string): Act[] {
  const command = {
    type: 'static_build',
    repo_url: scene.repository,
    git_ref: gitRef,
    target_image: image,
    // The command names an image that exists only on this host.
    base_image: scene.baseImage,
    base_images: [scene.baseImage],
  };
  const body = { host_id: scene.hostId, request_id: requestId, command };
  return [
    once({ method: 'POST', path: '/v1/build/dispatch', body }, taken),
    until({ method: 'GET', path: `/v1/build/result/${requestId}?timeout_ms=10000` }, built),
  ];
}

/** Returns the spec of a container that serves the site. Its address is fixed, so that the calls can be repeated. */
export function site(scene: Scene, name: string, image: string, address: string) {
  return {
    type: 'containers.create',
    name,
    image,
    network: scene.network,
    ip: address,
    init: true,
    stop_timeout: 1,
    restart_policy: 'unless-stopped',
    healthcheck: { test: ['CMD', 'wget', '-qO-', 'http://127.0.0.1/'], interval: '2s', retries: 5 },
  };
}

/** Returns the spec of an idle container. */
export function idler(scene: Scene, name: string, address: string) {
  return {
    type: 'containers.create',
    name,
    image: scene.baseImage,
    command: ['sleep', 'infinity'],
    network: scene.network,
    ip: address,
    init: true,
    stop_timeout: 1,
  };
}

/** Returns a flow to a web server. */
export function flow(src: string, dst: string) {
  return { namespace: 'default', src, dst, proto: 'tcp', port: 80 };
}

/** Returns the id of the rule that allows a flow (docs/contract.md §4). */
export function ruleId({ namespace, src, dst, proto, port }: ReturnType<typeof flow>): string {
  const text = [namespace, src, dst, proto, port].join('|');
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/**
 * Returns a program that prints the page at a name, or is killed after `seconds`. wget's own time limit crashes busybox
 * of Debian 12, and `timeout` accepts only whole seconds.
 */
export function fetching(name: string, seconds: number): string[] {
  return ['timeout', String(seconds), 'wget', '-qO-', `http://${name}/`];
}

/** The same for a page that must not arrive: blocked packets are dropped silently, so only a timeout shows it. */
export function fetchingInVain(name: string): string[] {
  return ['sh', '-c', `wget -qO- http://${name}/ & usleep 400000; kill $!; wait $!`];
}
