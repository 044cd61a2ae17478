import { createHetznerApi, type HetznerApiOptions } from './api.ts';
import { readSurroundings, sweepConfirmed } from './environment.ts';
import { deleteLabelled, findLabelled, ownLabels } from './removal.ts';

export interface SweepOptions {
  exported?: NodeJS.ProcessEnv;
  /** The folder with `.env`. */
  root?: string;
  api?: Pick<HetznerApiOptions, 'baseUrl' | 'pace'>;
  say?: (line: string) => void;
}

/**
 * Deletes every server and SSH key of all runs, including running ones. Without CONFIRM_SWEEP=1 it only lists them.
 * Returns the exit code.
 *
 * @throws HarnessError
 */
export async function sweep(options: SweepOptions = {}): Promise<number> {
  const { exported, root, say = line => void process.stdout.write(`${line}\n`) } = options;
  const surroundings = readSurroundings(exported, root);
  if (surroundings.kind === 'absent') {
    say(surroundings.reason);
    return 1;
  }
  const { token, project } = surroundings.settings;
  const api = createHetznerApi({ token, ...options.api });
  try {
    const confirmed = sweepConfirmed(exported, root);
    const { servers, sshKeys } = await (confirmed
      ? deleteLabelled(api, ownLabels)
      : findLabelled(api, ownLabels));
    const verb = confirmed ? 'deleted' : 'would delete';
    for (const { id, name } of servers) say(`${verb} server ${name} (${id})`);
    for (const { id, name } of sshKeys) say(`${verb} SSH key ${name} (${id})`);
    if (servers.length + sshKeys.length === 0) say(`nothing of ours in ${project}`);
    else if (!confirmed) say('CONFIRM_SWEEP=1 does it');
    return 0;
  } finally {
    await api.close();
  }
}
