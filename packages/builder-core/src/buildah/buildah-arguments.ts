import type { BuildPlan } from '../stacks/stack.ts';
import { passArguments } from './build-argument-passing.ts';

/** The files that buildah gets, all outside the checkout. */
export interface BuildahFiles {
  containerfile: string;
  ignore: string;
  /** An empty file. Its path identifies the working containers of this build, see working-containers.ts. */
  mounts: string;
  /** The image policy. Absent: the host has none. */
  policy?: string;
  /** The file that buildah writes the id of the image to. */
  imageId: string;
  /** An empty folder. */
  empty: string;
  /**
   * The folder of network definitions, relative to the scratch folder, where buildah runs. buildah takes a lock in it even
   * when it creates no network, and /etc is read-only. A working container records the path as given here. A relative path
   * also works for the later build that removes the container, which cannot write to the folder of another build.
   */
  networks: string;
  /** The folder for the state of the container runtime. */
  runtime: string;
}

export interface Invocation {
  program: string;
  args: string[];
  /** Variables in addition to those of every tool. */
  env: Record<string, string>;
}

/** Whether buildah keeps an image for each step. `kept`: it does, and reuses existing ones. `anew`: it does, without reusing any. */
export type Layers = 'none' | 'kept' | 'anew';

export interface BuildOptions {
  targetImage: string;
  layers: Layers;
  /** Whether an ONBUILD trigger copies from a stage: buildah does not see such a use and would skip the stage. */
  needsAllStages: boolean;
  /** The container runtime. Absent: buildah chooses. */
  containerRuntime?: string;
}

/** Default capabilities that steps do not get. With the network of the whole build and no device cgroup they would reach too far. */
const dropped = ['CAP_MKNOD', 'CAP_NET_RAW', 'CAP_AUDIT_WRITE'];

/**
 * Returns the program and arguments of a build.
 *
 * A plan without RUN needs no container. It uses the isolation `chroot`, which works under RestrictNamespaces=mnt user
 * (docs/contract.md §7). A plan with RUN uses containers: `chroot` would show every device of the host to a step, which runs
 * as root. The containers share the network of the unit, which belongs to the build and which buildah calls the host's
 * network. They share the cgroup of the unit, so that MemoryMax applies, and do not see the cgroup tree, where they could
 * leave it. Everything runs in a PID namespace that ends with its first process, since containers are in no process group
 * that could be killed.
 */
export function buildInvocation(
  plan: BuildPlan,
  files: BuildahFiles,
  { targetImage, layers, needsAllStages, containerRuntime }: BuildOptions,
): Invocation {
  const isolation = plan.runs
    ? [
        ...['--isolation=oci', '--network=host', `--volume=${files.empty}:/sys/fs/cgroup:ro`],
        ...['--runtime-flag=cgroup-manager=disabled', `--runtime-flag=root=${files.runtime}`],
        ...(containerRuntime === undefined ? [] : [`--runtime=${containerRuntime}`]),
        ...dropped.map(capability => `--cap-drop=${capability}`),
      ]
    : ['--isolation=chroot'];
  const passed = passArguments(plan.buildArgs);
  const args = [
    ...['--default-mounts-file', files.mounts, 'bud', ...isolation, `--layers=${layers !== 'none'}`],
    ...(layers === 'anew' ? ['--no-cache'] : []),
    // Only this format keeps HEALTHCHECK, ONBUILD and SHELL. buildah adds no label of its own.
    ...['--format=docker', '--identity-label=false'],
    // Images of that format have no annotations, but this one makes buildah commit a stage without steps. Otherwise the base
    // image itself would be the image of the stage, and be removed with the rest of a failed build.
    '--annotation=stage=committed',
    ...[`--cni-config-dir=${files.networks}`],
    // A skipped stage does not exist, and buildah would use an image of this host with the same name.
    ...(needsAllStages ? ['--skip-unused-stages=false'] : []),
    ...(files.policy === undefined ? [] : [`--signature-policy=${files.policy}`]),
    // The base images are in the storage and named by id. buildah must not look for an id in a registry.
    '--pull=false',
    ...['--force-rm', '--retry=1', '--retry-delay=1s', `--iidfile=${files.imageId}`],
    ...[`--ignorefile=${files.ignore}`, `--file=${files.containerfile}`, `--tag=${targetImage}`],
    ...passed.args,
    ...(plan.target === undefined ? [] : [`--target=${plan.target}`]),
    ...['--', plan.context],
  ];
  if (!plan.runs) return { program: 'buildah', args, env: passed.env };
  return {
    program: 'unshare',
    args: ['--pid', '--fork', '--mount-proc', '--kill-child', '--', 'buildah', ...args],
    env: passed.env,
  };
}
