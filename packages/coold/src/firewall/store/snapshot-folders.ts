import { access, constants, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BadValue } from '@coold/runtime';

/**
 * Creates the folders of both snapshots where they are missing.
 *
 * @throws BadValue for a folder that coold cannot write to: it would restart again and again and keep no rule
 */
export async function prepareSnapshotFolders(paths: {
  rulesPath: string;
  bridgeRulesPath: string;
}): Promise<void> {
  await prepare('COOLD_RULES_PATH', paths.rulesPath);
  await prepare('COOLD_BRIDGE_RULES_PATH', paths.bridgeRulesPath);
}

async function prepare(variable: string, path: string): Promise<void> {
  const folder = dirname(path);
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    const expected =
      `a file in a folder that coold can write to (${code}). Its unit lets it write to /etc/coolify alone; ` +
      'run install.sh again, which reads coold.env and adds the folder that is named there';
    throw new BadValue(variable, path, expected, { cause: error });
  }
}
