import type { Logger } from '@coold/runtime';
import { type Systemd, SystemdError } from './systemd.ts';
import type { UnitState } from './unit-state.ts';

/** Asked at once, so that a hundred builds are adopted in the time of a few. */
const atOnce = 8;

/** The states of all loaded units of builds, by request id; undefined: systemd does not answer. */
export async function readUnitStates(
  systemd: Pick<Systemd, 'units' | 'state'>,
  log: Logger,
): Promise<ReadonlyMap<string, UnitState> | undefined> {
  try {
    const ids = await systemd.units();
    const states = new Map<string, UnitState>();
    for (let at = 0; at < ids.length; at += atOnce)
      await Promise.all(
        ids.slice(at, at + atOnce).map(async id => void states.set(id, await systemd.state(id))),
      );
    return states;
  } catch (error) {
    if (!(error instanceof SystemdError)) throw error;
    log.error(
      { reason: error.message },
      'systemd does not say which builds live; each is asked for until it does',
    );
    return undefined;
  }
}
