import type { BuildPlan } from './stacks/stack.ts';

/** Files that buildah is told of, all outside the checkout. */
export interface BuildahFiles {
  containerfile: string;
  ignore: string;
  /** Empty. That a working container has this very name as its mounts file is how a build's leftovers are known. */
  mounts: string;
  /** What images may be taken from; absent: the host says nothing of it. */
  policy?: string;
  /** Where the id of the image is written. */
  imageId: string;
  /** An empty folder. */
  empty: string;
  /**
   * A folder for definitions of networks. buildah takes a lock in it also where it makes none, and /etc is read-only. By its
   * name in the scratch folder, where buildah is started: a working container keeps it as it is given here, and the build
   * that removes what a dead one left has no other build's folder.
   */
  networks: string;
  /** State of the runtime. */
  runtime: string;
}

export interface Invocation {
  program: string;
  args: string[];
}

/** Whether an image is kept for each step: none, with those looked for that are here, or anew. */
export type Layers = 'none' | 'kept' | 'anew';

export interface BuildOptions {
  targetImage: string;
  layers: Layers;
  /** Whether a base image asks for files of stages (ONBUILD), in which buildah does not see that it needs them. */
  needsAllStages: boolean;
}

/** Of what a container gets by default: with the network of the whole build and no device cgroup, these reach too far. */
const dropped = ['CAP_MKNOD', 'CAP_NET_RAW', 'CAP_AUDIT_WRITE'];

/**
 * The build as a program's arguments.
 *
 * A plan without RUN needs no container: `chroot` is the isolation that lives under RestrictNamespaces=mnt user
 * (docs/contract.md §7). One with RUN gets containers of the runtime: `chroot` would show every device of the
 * host to a step that runs as root. They share the unit's network, which is the build's own and which buildah calls the
 * host's, and its cgroup, so that its MemoryMax counts; they do not see the cgroup tree, where they could leave it. All of it is in a PID namespace
 * that ends with its first process, since containers are in no process group of ours.
 */
export function buildInvocation(
  plan: BuildPlan,
  files: BuildahFiles,
  { targetImage, layers, needsAllStages }: BuildOptions,
): Invocation {
  const isolation = plan.runs
    ? [
        ...['--isolation=oci', '--network=host', `--volume=${files.empty}:/sys/fs/cgroup:ro`],
        ...['--runtime-flag=cgroup-manager=disabled', `--runtime-flag=root=${files.runtime}`],
        ...dropped.map(capability => `--cap-drop=${capability}`),
      ]
    : ['--isolation=chroot'];
  const args = [
    ...['--default-mounts-file', files.mounts, 'bud', ...isolation, `--layers=${layers !== 'none'}`],
    ...(layers === 'anew' ? ['--no-cache'] : []),
    // The only format that keeps HEALTHCHECK, ONBUILD and SHELL; and no label that the Dockerfile does not set.
    ...['--format=docker', '--identity-label=false'],
    // Images of that format have no annotations. But with one, buildah commits a stage without steps, where otherwise its
    // base image itself would be the stage's, and be removed with what is left of the build.
    '--annotation=stage=committed',
    ...[`--cni-config-dir=${files.networks}`],
    // One that is skipped is not there, and an image of this host that has its name would be taken for it.
    ...(needsAllStages ? ['--skip-unused-stages=false'] : []),
    ...(files.policy === undefined ? [] : [`--signature-policy=${files.policy}`]),
    // They are here already, by their ids; an id is not to be looked for anywhere else.
    '--pull=false',
    ...['--force-rm', '--retry=1', '--retry-delay=1s', `--iidfile=${files.imageId}`],
    ...[`--ignorefile=${files.ignore}`, `--file=${files.containerfile}`, `--tag=${targetImage}`],
    ...Object.entries(plan.buildArgs).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...(plan.target === undefined ? [] : [`--target=${plan.target}`]),
    ...['--', plan.context],
  ];
  if (!plan.runs) return { program: 'buildah', args };
  return {
    program: 'unshare',
    args: ['--pid', '--fork', '--mount-proc', '--kill-child', '--', 'buildah', ...args],
  };
}
