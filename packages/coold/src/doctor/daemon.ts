import { explainUnreachable, type Finding, fail, getJson, ok, UnreachableError } from '@coold/runtime';
import { judgeStatus } from '../status/judge-status.ts';
import type { CooldStatus } from '../status/status.ts';

const fields = ['version', 'link', 'podman', 'directory', 'sync', 'dns', 'recent'];
const timeoutMs = 10_000;

/**
 * Returns the problems of the running coold, judged as `coold status` does.
 *
 * @throws Error for an answer that is not coold's
 */
export async function askDaemon(socketPath: string): Promise<Finding[]> {
  try {
    const status = (await getJson({ at: { socketPath }, path: '/status', timeoutMs, fields })) as CooldStatus;
    const problems = judgeStatus(status);
    return problems.length === 0
      ? [ok(`coold ${status.version} runs and is healthy`)]
      : problems.map(problem =>
          fail(problem, 'the page Troubleshooting of the documentation says what to do about each'),
        );
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    return [fail(explainUnreachable('coold', error), 'journalctl -u coold -n 50')];
  }
}
