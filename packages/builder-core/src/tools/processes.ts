import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Returns the arguments of every process that this one can see. */
async function commandLines(): Promise<string[][]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  const read = pids.map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')); // it has ended
  return (await Promise.all(read)).map(line => line.split('\0'));
}

/** Whether any process has this argument. A builder has its request as an argument, a buildah its mounts file. */
export async function isProcessArgument(text: string): Promise<boolean> {
  return (await commandLines()).some(args => args.includes(text));
}

/** Whether another builder runs in a work folder beside this one. */
export async function otherBuildsRun(workDir: string): Promise<boolean> {
  const isOther = (arg: string) =>
    basename(arg) === 'request.json' &&
    dirname(dirname(arg)) === dirname(workDir) &&
    dirname(arg) !== workDir;
  return (await commandLines()).some(args => args.some(isOther));
}

/** Returns the path of the request that a builder for this work folder has as an argument. */
export function requestPathIn(workDir: string): string {
  return join(workDir, 'request.json');
}

/** Returns the ids of all descendants of a process. Any thread may have started them, and any of them may end at any time. */
export async function descendantsOf(pid: number | string): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    threads.map(thread => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '')),
  );
  const children = lists.flatMap(list => list.split(' ').filter(id => id !== ''));
  const below = await Promise.all(children.map(descendantsOf));
  return [...children, ...below.flat()];
}
