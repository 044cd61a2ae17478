/** The state of a build's unit in systemd. */
export type UnitState =
  | { kind: 'active' }
  /** The unit is over and still loaded: it stays until it is reset, so that its `Result` can be read (docs/contract.md §7). */
  | { kind: 'over'; ending: UnitEnding }
  /** The unit is not loaded: it never ran, ended well, was reset, or the host rebooted since. */
  | { kind: 'absent' };

export interface UnitEnding {
  /** The property `Result`: success, exit-code, signal, timeout, oom-kill, core-dump, watchdog, resources, protocol … */
  result: string;
  /** How the main process ended, empty when there was none. */
  how: 'exited' | 'killed' | 'dumped' | '';
  /** The exit code, or the number of the signal. */
  status: number;
}

/** The properties that `systemctl show` is asked for. */
export const shownProperties = ['LoadState', 'ActiveState', 'Result', 'ExecMainCode', 'ExecMainStatus'];

/** The codes of waitid(2) for how a process ended. */
const endings: Record<string, UnitEnding['how']> = { '1': 'exited', '2': 'killed', '3': 'dumped' };

/** Reads the output of `systemctl show`. @throws Error when it lacks a property or holds an unknown state */
export function readUnitState(shown: string): UnitState {
  const lines = shown.split('\n').filter(line => line.includes('='));
  const values = new Map(
    lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const load = values.get('LoadState');
  const active = values.get('ActiveState');
  if (load === undefined || active === undefined)
    throw new Error(
      `systemctl show: expected LoadState and ActiveState, got ${JSON.stringify(shown.slice(0, 200))}`,
    );
  switch (active) {
    case 'active':
    case 'activating':
    case 'deactivating':
    case 'reloading':
    case 'refreshing':
    case 'maintenance':
      return { kind: 'active' };
    case 'failed':
    case 'inactive':
      break;
    default:
      throw new Error(`systemctl show: ActiveState=${JSON.stringify(active.slice(0, 50))} is not known`);
  }
  if (load === 'not-found') return { kind: 'absent' };
  const result = values.get('Result') ?? '';
  return {
    kind: 'over',
    ending: {
      result,
      how: endings[values.get('ExecMainCode') ?? ''] ?? '',
      status: Number(values.get('ExecMainStatus') ?? 0),
    },
  };
}
