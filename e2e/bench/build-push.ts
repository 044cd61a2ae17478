import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PodmanService } from '@coold/testbed';
import { summarise } from './load.ts';
import { runBeside } from './run-beside.ts';
import type { SuiteResult } from './suite.ts';

interface PushBench {
  podman: PodmanService;
  rounds: number;
  /** The builder as it is packaged. */
  builder: string;
  /** For its work folders. */
  folder: string;
  /** Where images go, without a tag: each has a repository of its own, so that no layer is there already. */
  target: string;
  request: object;
}

/** Random, so that it does not shrink: 40 MB that a registry takes a while for. */
const layerBytes = 40_000_000;

/**
 * What a push adds to a build, beside `buildah push` of the same image: the builder with a push and without one, and buildah
 * alone, in turns.
 */
export async function measurePush(options: PushBench): Promise<Pick<SuiteResult, 'rows' | 'ratios'>> {
  const { podman, rounds, builder, folder, target } = options;
  const address = target.split('/')[0] ?? '';
  await mkdir(folder);
  const make =
    'c=$(buildah from scratch) && head -c "$2" /dev/urandom >"$1/blob" && buildah copy -q $c "$1/blob" /blob >/dev/null && buildah commit -q --rm $c "$0" >/dev/null && rm "$1/blob"';
  // Of its own for each push: what a registry has had before is not sent to it again.
  const makeBase = async (name: string) => {
    const base = `localhost/bench:${name}`;
    await runBeside(podman, ['sh', '-c', make, base, folder, String(layerBytes)]);
    return base;
  };
  const build = async (name: string, base: string, push: boolean) => {
    const work = join(folder, name);
    await mkdir(work);
    const request = {
      ...options.request,
      ...{ target_image: `${target}/${name}:1`, static_cfg: { base_image: base }, base_images: [base] },
      ...(push ? { push: {} } : {}),
    };
    await writeFile(join(work, 'request.json'), JSON.stringify(request));
    const insecure = ['env', `COOLD_BUILDER_INSECURE_REGISTRIES=${address}`];
    const ms = await runBeside(podman, [
      ...insecure,
      process.execPath,
      builder,
      join(work, 'request.json'),
      work,
    ]);
    await rm(work, { recursive: true });
    return ms;
  };
  const seen = { added: [] as number[], raw: [] as number[] };
  for (let round = 0; round <= rounds; round += 1) {
    const base = await makeBase(`ours-${round}`);
    const without = await build(`without-${round}`, base, false);
    const withPush = await build(`with-${round}`, base, true);
    await build(`bare-${round}`, await makeBase(`raw-${round}`), false);
    const raw = await runBeside(podman, [
      ...['buildah', 'push', '--tls-verify=false', `${target}/bare-${round}:1`],
      `docker://${target}/bare-${round}:1`,
    ]);
    if (round === 0) continue; // the first warms all
    seen.added.push(withPush - without);
    seen.raw.push(raw);
  }
  const total = (times: number[]) => times.reduce((sum, ms) => sum + ms, 0);
  const [added, raw] = [summarise(seen.added, total(seen.added)), summarise(seen.raw, total(seen.raw))];
  return {
    rows: [
      { subject: 'what push adds to a build, 40 MB', ...added },
      { subject: 'buildah push of the same image', ...raw },
    ],
    ratios: [
      { what: 'time, push in a build over buildah push', value: added.p50 / raw.p50, aim: 'at most 1.1' },
    ],
  };
}
