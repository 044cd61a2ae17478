import { claimNames } from '../host-names.ts';
import { asOrder, HarnessError, type Host, type HostSystem, type Provider } from '../provider.ts';
import type { CgroupLayout } from './cgroups.ts';
import { createLabHost, type LabHost } from './host.ts';
import { removeRun } from './remove-run.ts';
import { checkRequirements, type Machine, thisMachine } from './requirements.ts';
import { createRootSource, type RootSource } from './root.ts';
import { createRun, deadRuns, defaultRunRoot } from './run.ts';
import { createSegment, maxHosts } from './segment.ts';

export interface LabOptions {
  /** Where runs keep their folders, and find those of killed ones. */
  runRoot?: string;
  /** Of each host, as `mount -t tmpfs -o size=` takes it. Default 4g. */
  diskSize?: string;
  machine?: Machine;
  /** What hosts run that name no system. Default: what the machine runs. */
  system?: HostSystem | undefined;
  roots?: RootSource;
}

export interface Lab extends Provider {
  /** Names the run; what it makes outside of its hosts carries this name. */
  runId: string;
}

/**
 * The provider whose hosts are namespaces of this machine: each with a systemd of its own as PID 1, its own network,
 * cgroups and machine id, and, through an overlay that vanishes with it, the machine's installed programs or those of
 * another Debian that the lab has made.
 *
 * @throws HarnessError when the machine cannot carry hosts; nothing has been made then
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
      close,
      async up(wanted) {
        if (closed !== undefined) throw new HarnessError('this lab is closed');
        const orders = wanted.map(asOrder);
        claimNames(
          orders.map(({ name }) => name),
          names,
          maxHosts,
        );
        const made = orders.map(async (order): Promise<Host> => {
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

/** Removes what runs that were killed have left. */
async function removeDeadRuns(layout: CgroupLayout, runRoot: string): Promise<void> {
  for (const dead of deadRuns(runRoot)) await removeRun(layout, dead);
}

/** The same for whoever started runs that may have been killed. @throws HarnessError as `createLab` does */
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

/** A full disk and its like arrive as the system's errors; they are told as what they keep the lab from. */
function oneLine(error: unknown): HarnessError {
  if (error instanceof HarnessError) return error;
  return new HarnessError(`the lab failed: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}
