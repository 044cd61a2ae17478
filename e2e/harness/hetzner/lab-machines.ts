import { mkdtemp, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createLab } from '../lab/lab.ts';
import { expectExec, HarnessError, type Host } from '../provider.ts';
import type { Machines } from './fake-api.ts';

/** Hosts of the lab in the part of servers of Hetzner Cloud. */
export interface LabMachines {
  machines: Machines;
  /** An ssh client in the network that the hosts are in; the machine's own has no way there. */
  ssh: [string, ...string[]];
  hosts: Map<number, Host>;
  close(): Promise<void>;
}

/** Each machine has Debian's sshd, with its own settings, and lets the given key in as cloud-init does. */
export async function createLabMachines(publicKey: string): Promise<LabMachines> {
  const runRoot = await mkdtemp('/run/coold-hetzner-test-');
  const lab = await createLab({ runRoot });
  const hosts = new Map<number, Host>();
  const on = new Set<number>();
  const over = new AbortController();

  const hostOf = (id: number) => {
    const host = hosts.get(id);
    if (host === undefined) throw new HarnessError(`no machine ${id}`);
    return host;
  };

  /** A server that reboots is a machine that starts again; the lab leaves a host off that has ended by itself. */
  const watchReboots = async (id: number) => {
    while (!over.signal.aborted && hosts.has(id)) {
      await delay(200, undefined, { signal: over.signal }).catch(() => undefined);
      if (!on.has(id) || over.signal.aborted) continue;
      // It rejects when the host is off.
      const isUp = await hostOf(id)
        .exec(['true'])
        .then(
          () => true,
          () => false,
        );
      if (isUp || !on.has(id)) continue;
      await hostOf(id).boot();
    }
  };
  const watches: Promise<void>[] = [];

  return {
    ssh: ['nsenter', `--net=/run/netns/coold-lab-${lab.runId}`, '--', 'ssh'],
    hosts,
    machines: {
      async create({ id }) {
        const [host] = await lab.up([`vm${id}`]);
        if (host === undefined) throw new HarnessError('the lab made nothing');
        hosts.set(id, host);
        on.add(id);
        // Bash reads it for every program that sshd starts, and what it does is the affair of the machine's owner.
        await expectExec(host, ['rm', '-f', '/root/.bashrc']);
        await host.put(`${publicKey}\n`, '/root/.ssh/authorized_keys', 0o600);
        await host.put('PermitRootLogin prohibit-password\n', '/etc/ssh/sshd_config.d/50-cloud.conf', 0o644);
        // The machine that the lab is on may have masked it, so as not to run one itself.
        await expectExec(host, ['systemctl', 'unmask', 'ssh.service']);
        await expectExec(host, ['systemctl', 'enable', '--quiet', '--now', 'ssh.service']);
        watches.push(watchReboots(id));
        return host.address;
      },
      async powerOff(id) {
        on.delete(id);
        await hostOf(id).crash();
      },
      async powerOn(id) {
        await hostOf(id).boot();
        on.add(id);
      },
      async destroy(id) {
        on.delete(id);
        await hostOf(id)
          .crash()
          .catch((error: unknown) => {
            // One that was in the midst of a reboot is off already.
            if (!(error instanceof HarnessError)) throw error;
          });
        hosts.delete(id);
      },
    },
    async close() {
      over.abort();
      await Promise.allSettled(watches);
      await lab.close();
      await rm(runRoot, { recursive: true, force: true });
    },
  };
}
