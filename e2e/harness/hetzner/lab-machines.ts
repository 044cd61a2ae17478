import { mkdtemp, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createLab } from '../lab/lab.ts';
import { expectExec, HarnessError, type Host } from '../provider.ts';
import type { Machines } from './fake-api.ts';

/** Lab hosts that act as servers of Hetzner Cloud. */
export interface LabMachines {
  machines: Machines;
  /** An ssh client in the hosts' network, which this machine cannot reach. */
  ssh: [string, ...string[]];
  hosts: Map<number, Host>;
  close(): Promise<void>;
}

/** Creates machines with Debian's sshd and its own settings. Each accepts the given key, as cloud-init would arrange. */
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

  /** Starts a machine again after it reboots; the lab leaves a host off when it ended by itself. */
  const watchReboots = async (id: number) => {
    while (!over.signal.aborted && hosts.has(id)) {
      await delay(200, undefined, { signal: over.signal }).catch(() => undefined);
      if (!on.has(id) || over.signal.aborted) continue;
      // This rejects when the host is off.
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
        // Bash reads it for every program that sshd starts, and its content depends on the owner of this machine.
        await expectExec(host, ['rm', '-f', '/root/.bashrc']);
        await host.put(`${publicKey}\n`, '/root/.ssh/authorized_keys', 0o600);
        await host.put('PermitRootLogin prohibit-password\n', '/etc/ssh/sshd_config.d/50-cloud.conf', 0o644);
        // The machine that runs the lab may have masked ssh.service, to run none itself.
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
            // A host in the middle of a reboot is already off.
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
