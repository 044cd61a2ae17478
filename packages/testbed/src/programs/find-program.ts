import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The first program of that name in the folders of `path`, as a shell looks for it; undefined where there is none. */
export function findProgram(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .map(folder => join(folder, name))
    .find(candidate => {
      try {
        accessSync(candidate, constants.X_OK);
        return statSync(candidate).isFile();
      } catch {
        return false;
      }
    });
}
