import { readdir, readFile } from 'node:fs/promises';

/** The ids of all processes below one. Any of its threads may have started them, and they may be gone any time. */
export async function descendantsOf(pid: number | string): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    threads.map(thread => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '')),
  );
  const children = lists.flatMap(list => list.split(' ').filter(id => id !== ''));
  const below = await Promise.all(children.map(descendantsOf));
  return [...children, ...below.flat()];
}
