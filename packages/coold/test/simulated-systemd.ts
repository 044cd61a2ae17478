// Units as systemd has them, for tests: no machine of tests has a systemd to start units with, and the real one, on the
// hosts of scenarios, cannot be stopped between two of its steps.
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildNetworks } from '../src/builds/network/build-networks.ts';
import { type Systemd, SystemdError } from '../src/builds/unit/systemd.ts';
import type { UnitEnding } from '../src/builds/unit/unit-state.ts';

export interface SimulatedSystemd {
  systemd: Systemd;
  /** Request ids in the order their units were started. */
  started: string[];
  /** Signals that were sent, as `SIGTERM id`. */
  signals: string[];
  loaded(): string[];
  /** Ends a unit as a builder does that recorded its outcome, or none; a failed one stays loaded. */
  end(
    requestId: string,
    file: { name: 'result.json' | 'error.json'; content: object } | undefined,
    ending?: UnitEnding,
  ): Promise<void>;
  /** Simulates a reboot of the host: no unit exists afterwards. */
  boot(): void;
  /** What it does not do from now on. */
  broken: { run?: 'missing' | 'hangs' | 'refuses'; answers?: false };
}

interface Unit {
  folder: string;
  ending: UnitEnding | undefined;
  exit: () => void;
}

const failedBy = (status: number): UnitEnding => ({ result: 'exit-code', how: 'exited', status });
export const cancelledFile = {
  name: 'error.json',
  content: { code: 499, message: 'cancelled', stage: 'cancel' },
} as const;

/** Networks for units that nothing is started in. */
export const noNetworks: Pick<BuildNetworks, 'prepare' | 'release'> = {
  async prepare() {
    const [address, gateway] = ['240.0.0.2', '240.0.0.1'];
    return { slot: 2, address, gateway, mtu: 1500, resolvConf: '/run/coolify/build-resolv.conf' };
  },
  release() {},
};

export function simulateSystemd(): SimulatedSystemd {
  const units = new Map<string, Unit>();
  const started: string[] = [];
  const signals: string[] = [];
  const broken: SimulatedSystemd['broken'] = {};
  const answer = () => {
    if (broken.answers === false) throw new SystemdError('systemctl: killed after 5000 ms');
  };
  const end: SimulatedSystemd['end'] = async (requestId, file, ending) => {
    const unit = units.get(requestId);
    // A builder that has ended writes nothing more.
    if (unit === undefined || unit.ending !== undefined) throw new Error(`no unit ${requestId} that runs`);
    if (file !== undefined) await writeFile(join(unit.folder, file.name), JSON.stringify(file.content));
    if (ending === undefined) units.delete(requestId);
    else unit.ending = ending;
    unit.exit();
  };
  const systemd: Systemd = {
    async run({ requestId, workFolder }, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<{ code: number; said: string }>();
      promise.catch(() => {}); // who asked may have left
      if (signal.aborted) throw new SystemdError('systemd-run: aborted');
      signal.addEventListener('abort', () => reject(new SystemdError('systemd-run: aborted')));
      switch (broken.run) {
        case 'missing':
          throw new SystemdError('systemd-run: spawn ENOENT', { isMissing: true });
        case 'refuses':
          return { code: 1, said: 'Failed to start transient service unit: no' };
        case 'hangs':
          return promise;
        case undefined:
      }
      if (units.has(requestId)) return { code: 1, said: `Unit ${requestId} was already loaded` };
      started.push(requestId);
      const exit = () => resolve({ code: 0, said: '' });
      units.set(requestId, { folder: workFolder, ending: undefined, exit });
      await appendFile(
        join(workFolder, 'events.ndjson'),
        '{"type":"progress","stage":"git","log":"","percent":0}\n',
      );
      return promise;
    },
    async state(requestId) {
      answer();
      const unit = units.get(requestId);
      if (unit === undefined) return { kind: 'absent' };
      return unit.ending === undefined ? { kind: 'active' } : { kind: 'over', ending: unit.ending };
    },
    async kill(requestId, signal) {
      answer();
      const unit = units.get(requestId);
      if (unit === undefined || unit.ending !== undefined) return false;
      signals.push(`${signal} ${requestId}`);
      await end(requestId, signal === 'SIGTERM' ? cancelledFile : undefined, failedBy(130));
      return true;
    },
    async reset(requestId) {
      answer();
      if (units.get(requestId)?.ending !== undefined) units.delete(requestId);
    },
    async units() {
      answer();
      return [...units.keys()];
    },
  };
  return {
    systemd,
    started,
    signals,
    broken,
    end,
    loaded: () => [...units.keys()],
    boot: () => units.clear(),
  };
}
