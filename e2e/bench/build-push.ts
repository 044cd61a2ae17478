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
  /** Parent of the builder's work folders. */
  folder: string;
  /**
   * Where images are pushed, without a tag. Each image has its own repository, so that no layer is already in the
   * registry.
   */
  target: string;
  request: object;
}

/** Random data, so that it does not compress: 40 MB keep a registry busy for a while. */
const layerBytes = 40_000_000;

/** The wanted standard error of the ratio. Rounds are added until it is reached or `mostRounds` have run. */
const wantedError = 0.025;
const mostRounds = 40;

/**
 * Measures what a push adds to a build, compared with `buildah push` of the same kind of image. A builder with a push
 * runs in turns with a builder without one followed by buildah; the order changes every round. Every build has its own
 * base image, so that no storage, cache or registry has seen a layer before.
 */
export async function measurePush(options: PushBench): Promise<Pick<SuiteResult, 'rows' | 'ratios'>> {
  const { podman, rounds, builder, folder, target } = options;
  const address = target.split('/')[0] ?? '';
  await mkdir(folder);
  const make =
    'c=$(buildah from scratch) && head -c "$2" /dev/urandom >"$1/blob" && buildah copy -q $c "$1/blob" /blob >/dev/null && buildah commit -q --format docker --rm $c "$0" >/dev/null && rm "$1/blob" && sync';
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
      target_image: `${target}/${name}:1`,
      static_cfg: { base_image: base },
      base_images: [base],
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
  const withPush = async (round: number) => build(`with-${round}`, await makeBase(`ours-${round}`), true);
  const withRaw = async (round: number) => {
    const name = `bare-${round}`;
    const without = await build(name, await makeBase(`raw-${round}`), false);
    const image = `${target}/${name}:1`;
    const push = ['buildah', 'push', '--tls-verify=false', image, `docker://${image}`];
    return { without, raw: await runBeside(podman, push) };
  };
  const seen = { added: [] as number[], raw: [] as number[] };
  const isEnough = (round: number) =>
    round >= rounds && (rounds < 5 || round >= mostRounds || errorOf(seen) <= wantedError);
  for (let round = 0; round === 0 || !isEnough(round - 1); round += 1) {
    const order = round % 2 === 0;
    const early = order ? await withPush(round) : undefined;
    const { without, raw } = await withRaw(round);
    const ours = early ?? (await withPush(round));
    if (round === 0) continue; // the first round warms up everything
    seen.added.push(ours - without);
    seen.raw.push(raw);
  }
  const total = (times: number[]) => times.reduce((sum, ms) => sum + ms, 0);
  const [added, raw] = [summarise(seen.added, total(seen.added)), summarise(seen.raw, total(seen.raw))];
  return {
    rows: [
      { subject: 'what push adds to a build, 40 MB', ...added },
      { subject: 'buildah push of such an image', ...raw },
    ],
    ratios: [
      { what: 'time, push in a build over buildah push', value: added.p50 / raw.p50, aim: 'at most 1.1' },
    ],
  };
}

/** The standard error of the ratio of both medians, as a share of the ratio. */
function errorOf({ added, raw }: { added: readonly number[]; raw: readonly number[] }): number {
  const [a, r] = [errorOfMiddle(added), errorOfMiddle(raw)];
  return Math.hypot(a, r);
}

/** The standard error of the median, from its quartiles, so that single disturbed rounds do not count. */
function errorOfMiddle(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
  // For a normal distribution, the quartiles are 1.35 deviations apart, and a median's error is 1.25 times a mean's.
  return (((at(0.75) - at(0.25)) / 1.35) * 1.25) / Math.sqrt(sorted.length) / at(0.5);
}
