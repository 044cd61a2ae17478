import { describe, expect, it } from 'vitest';
import { readUnitState } from './unit-state.ts';

/** As `systemctl show` of systemd 252 prints it. */
const shown = (load: string, active: string, result = 'success', code = '0', status = '0') =>
  `ExecMainCode=${code}\nExecMainStatus=${status}\nResult=${result}\nLoadState=${load}\nActiveState=${active}\n`;

describe('what systemd says of a unit', () => {
  it.each(['active', 'activating', 'deactivating', 'reloading'])('that is %s is that it lives', active => {
    expect(readUnitState(shown('loaded', active))).toEqual({ kind: 'active' });
  });

  it('that is not there', () => {
    expect(readUnitState(shown('not-found', 'inactive'))).toEqual({ kind: 'absent' });
  });

  it.each([
    ['timeout', '1', '130', { result: 'timeout', how: 'exited', status: 130 }],
    ['oom-kill', '2', '9', { result: 'oom-kill', how: 'killed', status: 9 }],
    ['core-dump', '3', '11', { result: 'core-dump', how: 'dumped', status: 11 }],
    ['resources', '0', '0', { result: 'resources', how: '', status: 0 }],
  ])('that failed by %s', (result, code, status, ending) => {
    expect(readUnitState(shown('loaded', 'failed', result, code, status))).toEqual({ kind: 'over', ending });
  });

  it.each(['', 'LoadState=loaded\n', shown('loaded', 'sleeping')])(
    'that is nothing known is an error: %j',
    text => {
      expect(() => readUnitState(text)).toThrow('systemctl show');
    },
  );
});
