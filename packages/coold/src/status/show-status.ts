import {
  type ConfigOf,
  explainUnreachable,
  getJson,
  type JsonSource,
  lastJournalLines,
  readRegularFile,
  UnreachableError,
} from '@coold/runtime';
import { readApiToken } from '../transport/bearer.ts';
import { findLate, findUnfinished, judgeStatus } from './judge-status.ts';
import { renderStatus } from './render-status.ts';
import type { CooldStatus } from './status.ts';
import type { statusCommand } from './status-command.ts';

/** Fields that an answer must have: a coold not yet restarted after an update may be of another version. */
const fields = ['version', 'link', 'podman', 'directory', 'sync', 'dns', 'recent'];
/** Longer than the daemon itself waits for Podman, in ms. */
const timeoutMs = 10_000;

/**
 * Asks this host's coold for its status and prints it.
 *
 * @returns the exit code: 0 healthy, 1 not healthy, 3 not reachable
 * @throws Error naming a token or certificate that is not usable
 */
export async function showStatus(
  config: ConfigOf<typeof statusCommand>,
  out: (text: string) => void = text => void process.stdout.write(text),
): Promise<number> {
  const source = await sourceOf(config);
  try {
    // The answer comes from this package's own daemon, and is only displayed.
    const status = (await getJson({ ...source, path: '/status', timeoutMs, fields })) as CooldStatus;
    const problems = judgeStatus(status);
    const unfinished = findUnfinished(status);
    const late = findLate(status);
    out(
      config.json
        ? `${JSON.stringify({ problems, starting: unfinished, late, ...status })}\n`
        : renderStatus(status, { problems, unfinished, late }, new Date()),
    );
    return problems.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    const why = 'socketPath' in source.at ? explainUnreachable('coold', error) : error.message;
    if (config.json) out(`${JSON.stringify({ problems: [why] })}\n`);
    process.stderr.write(`coold status: ${why}\n`);
    if ('socketPath' in source.at)
      for (const line of await lastJournalLines('coold.service')) process.stderr.write(`  ${line}\n`);
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
  const pinned = tlsCert === undefined ? undefined : await readRegularFile(tlsCert);
  return { at: { ...apiBind, pinned }, headers: { authorization: `Bearer ${token}` } };
}
