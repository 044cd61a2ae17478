import { readFile } from 'node:fs/promises';
import {
  type ConfigOf,
  explainUnreachable,
  getJson,
  type JsonSource,
  UnreachableError,
} from '@coold/runtime';
import { readApiToken } from '../api/bearer.ts';
import { judgeStatus } from './judge-status.ts';
import { renderStatus } from './render-status.ts';
import type { CooldStatus } from './status.ts';
import type { statusCommand } from './status-command.ts';

/** What an answer must have: a coold not yet restarted after an update may be of another version. */
const fields = ['version', 'link', 'podman', 'directory', 'sync', 'dns', 'recent'];
/** Longer than the program itself waits for Podman. */
const timeoutMs = 10_000;

/**
 * Asks the coold of this host and prints what it says.
 *
 * @returns the exit code: 0 healthy, 1 not, 3 not reachable
 * @throws Error naming token or certificate when it cannot be used
 */
export async function showStatus(
  config: ConfigOf<typeof statusCommand>,
  out: (text: string) => void = text => void process.stdout.write(text),
): Promise<number> {
  const source = await sourceOf(config);
  try {
    // What it says is of this package's own shape, and only shown.
    const status = (await getJson({ ...source, path: '/status', timeoutMs, fields })) as CooldStatus;
    const problems = judgeStatus(status);
    out(
      config.json
        ? `${JSON.stringify({ problems, ...status })}\n`
        : renderStatus(status, problems, new Date()),
    );
    return problems.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    const why = 'socketPath' in source.at ? explainUnreachable('coold', error) : error.message;
    if (config.json) out(`${JSON.stringify({ problems: [why] })}\n`);
    process.stderr.write(`coold status: ${why}\n`);
    return 3;
  }
}

async function sourceOf({
  apiBind,
  apiTokenFile,
  tlsCert,
  unixSocketPath,
}: ConfigOf<typeof statusCommand>): Promise<Pick<JsonSource, 'at' | 'headers'>> {
  if (apiBind === undefined || apiTokenFile === undefined) return { at: { socketPath: unixSocketPath } };
  const token = await readApiToken(apiTokenFile);
  const pinned = tlsCert === undefined ? undefined : await readFile(tlsCert, 'utf8');
  return { at: { ...apiBind, pinned }, headers: { authorization: `Bearer ${token}` } };
}
