import { corrosionApiPort } from './corrosion.ts';
import { expectExec, HarnessError, type Host } from './provider.ts';

/** Runs one statement on a host's agent and returns a query's rows. @throws HarnessError when the agent fails */
export async function askCorrosion(
  host: Host,
  endpoint: 'queries' | 'transactions',
  statement: readonly [string, readonly unknown[]],
): Promise<unknown[][]> {
  const url = `http://127.0.0.1:${corrosionApiPort}/v1/${endpoint}`;
  const body = JSON.stringify(endpoint === 'queries' ? statement : [statement]);
  const post = ['curl', '--silent', '--show-error', '--fail-with-body', '--max-time', '10'] as const;
  const args = ['--header', 'content-type: application/json', '--data-binary', '@-', url];
  const text = await expectExec(host, [...post, ...args], { input: body });
  const frames = text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { row?: [number, unknown[]]; error?: string });
  const failed = frames.find(frame => frame.error !== undefined);
  if (failed !== undefined) throw new HarnessError(`corrosion on ${host.name}: ${failed.error}`);
  return frames.flatMap(({ row }) => (row === undefined ? [] : [row[1]]));
}
