import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The arguments of every process that this one sees. */
async function commandLines(): Promise<string[][]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  const read = pids.map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')); // it has ended
  return (await Promise.all(read)).map(line => line.split('\0'));
}

/** Whether a process has this argument: a builder its request, a buildah its mounts file. */
export async function isArgument(text: string): Promise<boolean> {
  return (await commandLines()).some(args => args.includes(text));
}

/** Whether another builder works beside this work folder, in one of the same root. */
export async function otherBuildsRun(workDir: string): Promise<boolean> {
  const isOther = (arg: string) =>
    basename(arg) === 'request.json' &&
    dirname(dirname(arg)) === dirname(workDir) &&
    dirname(arg) !== workDir;
  return (await commandLines()).some(args => args.some(isOther));
}

/** What a builder's command line names where it builds in this work folder. */
export function requestIn(workDir: string): string {
  return join(workDir, 'request.json');
}
