import { type ConfigOf, explainUnreachable, getAnswer, UnreachableError } from '@coold/runtime';
import { type Explained, readExplained, renderWhy } from './render-why.ts';
import type { Operands, whyCommand } from './why-command.ts';

/** Longer than the program itself waits for what it asks. */
const timeoutMs = 15_000;
const path = '/api/v1/firewall/explain';

/**
 * Asks the coold of this host about a flow and prints what it says.
 *
 * @returns the exit code: 0 it passes, 1 it does not, 2 that is not known or was asked wrongly, 3 coold is not reachable
 */
export async function why(
  config: ConfigOf<typeof whyCommand>,
  { src, dst, proto, port }: Operands,
  out: (text: string) => void = text => void process.stdout.write(text),
): Promise<number> {
  const query = new URLSearchParams({
    src,
    dst,
    ...(proto === undefined ? {} : { proto }),
    ...(port === undefined ? {} : { port }),
  });
  try {
    const at = { socketPath: config.unixSocketPath };
    const { status, body } = await getAnswer({ at, path: `${path}?${query}`, timeoutMs });
    if (config.json) out(`${JSON.stringify(body)}\n`);
    if (status !== 200) {
      if (!config.json) process.stderr.write(`coold why: ${errorOf(body, status)}\n`);
      return status >= 500 && status !== 501 ? 3 : 2;
    }
    const explained = readExplained(body);
    if (!config.json) out(renderWhy(explained));
    return exitOf(explained);
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    process.stderr.write(`coold why: ${explainUnreachable('coold', error)}\n`);
    return 3;
  }
}

function exitOf({ verdict }: Explained): number {
  switch (verdict) {
    case 'passes':
      return 0;
    case 'blocked':
      return 1;
    default:
      return 2;
  }
}

function errorOf(body: unknown, status: number): string {
  if (typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'string')
    return body.error;
  return `coold answers with HTTP ${status}`;
}
