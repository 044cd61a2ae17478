/** What systemd knows of a build's unit. */
export type UnitState =
  | { kind: 'active' }
  /** Loaded and over: it stays until it is reset, so that its `Result` can be read (docs/contract.md §7). */
  | { kind: 'over'; ending: UnitEnding }
  /** Not loaded: it never was, ended well, was reset, or the host was booted since. */
  | { kind: 'absent' };

export interface UnitEnding {
  /** systemd's word: success, exit-code, signal, timeout, oom-kill, core-dump, watchdog, resources, protocol … */
  result: string;
  /** How the main process ended: `exited`, `killed`, `dumped`, or empty when there was none. */
  how: 'exited' | 'killed' | 'dumped' | '';
  /** Exit code, or number of the signal. */
  status: number;
}

/** What is asked of `systemctl show`. */
export const shownProperties = ['LoadState', 'ActiveState', 'Result', 'ExecMainCode', 'ExecMainStatus'];

/** `waitid`'s numbers for how a process ended. */
const endings: Record<string, UnitEnding['how']> = { '1': 'exited', '2': 'killed', '3': 'dumped' };

/** Reads what `systemctl show` printed. @throws Error where it is no such thing */
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
      throw new Error(`systemctl show: ActiveState=${JSON.stringify(active.slice(0, 50))} is none known`);
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
