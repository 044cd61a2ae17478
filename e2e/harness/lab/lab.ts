import { claimNames } from '../host-names.ts';
import { asOrder, HarnessError, type HostOrder, type HostSystem, type Provider } from '../provider.ts';
import type { CgroupLayout } from './cgroups.ts';
import { createLabHost, type LabHost } from './host.ts';
import { removeRun } from './remove-run.ts';
import { checkRequirements, type Machine, thisMachine } from './requirements.ts';
import { createRootSource, type RootSource } from './root.ts';
import { createRun, deadRuns, defaultRunRoot } from './run.ts';
import { createSegment, maxHosts } from './segment.ts';

export interface LabOptions {
  /** The folder of all runs, where those of killed runs are found too. */
  runRoot?: string;
  /** Disk size of each host, as in `mount -t tmpfs -o size=`. Default 4g. */
  diskSize?: string;
  machine?: Machine;
  /** The system of hosts whose order names none. Default: this machine's system. */
  system?: HostSystem | undefined;
  roots?: RootSource;
}

export interface Lab extends Provider {
  /** Identifies the run; everything that it creates outside of its hosts has this name. */
  runId: string;
  /** A network namespace outside of the hosts, by its path, with an address that all hosts reach. */
  beyond: { netns: string; address: string };
  up(wanted: readonly (string | HostOrder)[]): Promise<LabHost[]>;
}

/**
 * Creates the provider whose hosts are namespaces of this machine. Each has its own systemd as PID 1, network, cgroups
 * and machine id. Through an overlay that disappears with the host, it sees this machine's installed programs, or those
 * of another Debian that the lab has installed.
 *
 * @throws HarnessError when the machine cannot run hosts; nothing has been created then
 */
export async function createLab(options: LabOptions = {}): Promise<Lab> {
  const { runRoot = defaultRunRoot, diskSize = '4g', machine = thisMachine() } = options;
  const { system, roots = createRootSource() } = options;
  const layout = checkRequirements(machine);
  await removeDeadRuns(layout, runRoot);
  const run = claim(runRoot);
  const hosts: LabHost[] = [];
  const names = new Set<string>();
  let closed: Promise<void> | undefined;

  const close = () => {
    closed ??= (async () => {
      await Promise.allSettled(hosts.map(host => host.discard()));
      await removeRun(layout, run);
    })();
    return closed;
  };

  try {
    const segment = await createSegment(run);
    return {
      name: 'lab',
      runId: run.id,
      beyond: { netns: `/run/netns/${run.segment}`, address: segment.gateway },
      close,
      async up(wanted) {
        if (closed !== undefined) throw new HarnessError('this lab is closed');
        const orders = wanted.map(asOrder);
        claimNames(
          orders.map(({ name }) => name),
          names,
          maxHosts,
        );
        const made = orders.map(async (order): Promise<LabHost> => {
          const { name } = order;
          const host = await createLabHost({
            name,
            root: await roots.rootOf(order.system ?? system),
            ...(order.share === undefined ? {} : { share: order.share }),
            number: [...names].indexOf(name),
            run,
            layout,
            segment,
            diskSize,
          });
          hosts.push(host);
          await host.boot();
          return host;
        });
        const outcomes = await Promise.allSettled(made);
        const failure = outcomes.find(outcome => outcome.status === 'rejected');
        if (failure !== undefined) {
          await close();
          throw oneLine(failure.reason);
        }
        return await Promise.all(made);
      },
    };
  } catch (error) {
    await close();
    throw oneLine(error);
  }
}

/** Removes what killed runs left. */
async function removeDeadRuns(layout: CgroupLayout, runRoot: string): Promise<void> {
  for (const dead of deadRuns(runRoot)) await removeRun(layout, dead);
}

/** The same, for a program whose started runs may have been killed. @throws HarnessError as `createLab` does */
export async function clearLab(runRoot = defaultRunRoot, machine = thisMachine()): Promise<void> {
  await removeDeadRuns(checkRequirements(machine), runRoot);
}

function claim(runRoot: string): ReturnType<typeof createRun> {
  try {
    return createRun(runRoot);
  } catch (error) {
    throw oneLine(error);
  }
}

/** Turns a system error, such as a full disk, into a one-line error that says what the lab could not do. */
function oneLine(error: unknown): HarnessError {
  if (error instanceof HarnessError) return error;
  return new HarnessError(`the lab failed: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}
