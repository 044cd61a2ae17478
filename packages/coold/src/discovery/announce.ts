import type { Handler } from '../api/handler.ts';

/** The verbs after which a container's row may be another one. */
const verbs = [
  'containers.start',
  'containers.restart',
  'containers.stop',
  'containers.delete',
  'containers.healthcheck',
];

/**
 * The handlers, with discovery told of what they did. Podman's events tell it too, but late where it keeps them in a file,
 * which it reads every quarter of a second.
 */
export function announceChanges(
  handlers: Record<string, Handler>,
  touch: (container: string) => void,
): Record<string, Handler> {
  const announced = verbs.flatMap(name => {
    const handler = handlers[name];
    if (handler === undefined) return [];
    const run: Handler['run'] = async (request, signal) => {
      try {
        return await handler.run(request, signal);
      } finally {
        if ('id' in request && typeof request.id === 'string') touch(request.id);
      }
    };
    return [[name, { ...handler, run }] as const];
  });
  return { ...handlers, ...Object.fromEntries(announced) };
}
