import { create } from '@bufbuild/protobuf';
import { HelloSchema, readVerbs, SCHEMA_MIN } from '@coold/proto';
import type { Logger, Readiness, Task } from '@coold/runtime';
import { containerHandlers } from './api/containers.ts';
import { createAnswerCommand } from './api/stream.ts';
import { joinSurface } from './api/surface.ts';
import type { CooldConfig } from './config.ts';
import { keepHooks } from './firewall/keep-hooks.ts';
import { keepLink } from './link/link.ts';
import { createPodman } from './podman/client.ts';

/** The tasks of coold, by name; the end of any of them is the end of the process. */
export function cooldTasks(
  config: CooldConfig,
  version: string,
  log: Logger,
  readiness: Readiness,
): Record<string, Task> {
  const podman = createPodman(config.podmanSocket);
  const surface = joinSurface(readVerbs(), containerHandlers(podman));
  const looked = Promise.withResolvers<void>();
  const tasks: Record<string, Task> = {
    readiness: announce(readiness, looked.promise),
    hooks: keepHooks(log.child('firewall'), looked.resolve),
  };
  const { brokerUrl } = config;
  if (brokerUrl === undefined || config.grpcDisabled) {
    const why = brokerUrl === undefined ? 'COOLD_BROKER_URL is not set' : 'COOLD_GRPC_DISABLED is set';
    log.info(`${why}: no stream to a broker`);
    return tasks;
  }
  tasks['link'] = keepLink({
    url: brokerUrl,
    tokenPath: config.hostJwtPath,
    caPath: config.brokerCa,
    hello: create(HelloSchema, {
      hostMgmtIp: config.hostMgmtIp,
      cooldVersion: version,
      schemaMin: SCHEMA_MIN,
      // Only what it serves: a broker answers 501 for the rest at once, where we could not.
      schemaMax: Math.max(...[...surface.values()].map(({ verb }) => verb.schema)),
      capabilities: ['coold'],
      builderCapacity: 0,
    }),
    answer: createAnswerCommand(surface, log.child('api')),
    log: log.child('link'),
    onState: line => void readiness.status(line),
  });
  return tasks;
}

/**
 * Ready as soon as the local tasks run and the default deny was seen to, since containers may start by themselves then;
 * whether the broker can be reached is `STATUS=`, never readiness.
 */
function announce(readiness: Readiness, firewall: Promise<void>): Task {
  return async signal => {
    await firewall;
    await readiness.ready('serving');
    await new Promise<void>(resolve => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await readiness.stopping();
  };
}
