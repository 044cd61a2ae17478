import { existsSync } from 'node:fs';
import type { Run } from './run.ts';
import { system } from './system.ts';

/**
 * The network of a run's hosts: a bridge in its own network namespace, invisible in the machine's. The bridge's
 * address, 198.18.0.1, is the hosts' default gateway and routes nowhere.
 */
export interface Segment {
  gateway: string;
  /** Connects the host with this number to the segment: eth0 in the network namespace of process `pid`. */
  plug(number: number, pid: number): Promise<void>;
  unplug(number: number): Promise<void>;
  /** Sets the host's link up or down; the host keeps eth0 and its address. */
  setLink(number: number, state: 'up' | 'down'): Promise<void>;
}

const gateway = '198.18.0.1';

/** The largest number of hosts in a run. */
export const maxHosts = 200;

/** Returns a host's address, from the range for tests of network devices (RFC 2544), so that it hides no real network. */
export function underlayAddress(number: number): string {
  return `198.18.0.${10 + number}`;
}

export async function createSegment(run: Run): Promise<Segment> {
  const inside = (commands: string[]) =>
    system('ip', ['-n', run.segment, '-batch', '-'], { input: `${commands.join('\n')}\n` });
  const port = (number: number) => `host${number}`;
  const unplug = async (number: number) => {
    // The namespace of a killed host, and its cable, are removed late; -force: the cable may be gone already.
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
    // Packets beyond the segment are rejected at once; if they were dropped, every caller would wait for a timeout.
    'route add unreachable default',
  ]);
  await system('ip', ['netns', 'exec', run.segment, 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  return {
    gateway,
    async plug(number, pid) {
      await unplug(number);
      // The MAC address stays the same over boots. With a new one, neighbours would send to the old one for a while.
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

/** Safe when another process removes the same segment. */
export async function removeSegment(run: Run): Promise<void> {
  const handle = `/run/netns/${run.segment}`;
  if (!existsSync(handle)) return;
  await system('ip', ['netns', 'del', run.segment]).catch((error: unknown) => {
    if (existsSync(handle)) throw error;
  });
}
