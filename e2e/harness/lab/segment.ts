import { existsSync } from 'node:fs';
import type { Run } from './run.ts';
import { system } from './system.ts';

/**
 * The network that a run's hosts are plugged into: a bridge in a network namespace of its own, so that nothing of it is
 * seen in the machine's. Its end of the bridge, 198.18.0.1, is the hosts' default route and leads nowhere.
 */
export interface Segment {
  gateway: string;
  /** Plugs the host with this number into the segment: eth0 of the network namespace of process `pid`. */
  plug(number: number, pid: number): Promise<void>;
  unplug(number: number): Promise<void>;
  /** Takes the host's link up or down; the host keeps eth0 and its address. */
  setLink(number: number, state: 'up' | 'down'): Promise<void>;
}

const gateway = '198.18.0.1';

/** Most hosts of one run. */
export const maxHosts = 200;

/** Of the addresses set aside for tests of network devices (RFC 2544): no real network is shadowed. */
export function underlayAddress(number: number): string {
  return `198.18.0.${10 + number}`;
}

export async function createSegment(run: Run): Promise<Segment> {
  const inside = (commands: string[]) =>
    system('ip', ['-n', run.segment, '-batch', '-'], { input: `${commands.join('\n')}\n` });
  const port = (number: number) => `host${number}`;
  const unplug = async (number: number) => {
    // The namespace of a killed host is taken apart late, and its cable with it; -force: it may be gone already.
    await system('ip', ['-n', run.segment, '-force', '-batch', '-'], {
      input: `link del ${port(number)}\n`,
    }).catch(() => undefined);
  };
  await system('ip', ['netns', 'add', run.segment]);
  await inside([
    'link set lo up',
    'link add lab0 type bridge',
    `addr add ${gateway}/24 dev lab0`,
    'link set lab0 up',
    // What goes beyond the segment is refused at once; dropped silently, it would cost every caller a timeout.
    'route add unreachable default',
  ]);
  await system('ip', ['netns', 'exec', run.segment, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  return {
    gateway,
    async plug(number, pid) {
      await unplug(number);
      // The same MAC address at every boot: with another one, neighbours would go on sending to the old one for a while.
      const mac = `02:00:c6:12:00:${(10 + number).toString(16).padStart(2, '0')}`;
      await inside([
        `link add ${port(number)} type veth peer name eth0 address ${mac} netns ${pid}`,
        `link set ${port(number)} master lab0 up`,
      ]);
      await system('nsenter', ['-t', String(pid), '-n', 'ip', '-batch', '-'], {
        input: `addr add ${underlayAddress(number)}/24 dev eth0\nlink set eth0 up\nroute add default via ${gateway}\n`,
      });
    },
    unplug,
    async setLink(number, state) {
      await inside([`link set ${port(number)} ${state}`]);
    },
  };
}

/** Safe when another process is removing the same one. */
export async function removeSegment(run: Run): Promise<void> {
  const handle = `/run/netns/${run.segment}`;
  if (!existsSync(handle)) return;
  await system('ip', ['netns', 'del', run.segment]).catch((error: unknown) => {
    if (existsSync(handle)) throw error;
  });
}
