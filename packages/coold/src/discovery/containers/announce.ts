import type { Handler } from '../../handler.ts';

/** The verbs that may change a container's row. */
const verbs = [
  'containers.start',
  'containers.restart',
  'containers.stop',
  'containers.delete',
  'containers.healthcheck',
];

/**
 * Wraps handlers so that discovery learns what they did. Podman's events report it too, but late where Podman keeps
 * them in a file, which it reads every quarter of a second.
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
