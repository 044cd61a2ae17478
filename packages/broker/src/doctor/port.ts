import { type Address, describeHolder, type Finding, fail, ok, type PortHolder, warn } from '@coold/runtime';

/** A TCP port that the broker listens on. */
export interface WantedPort {
  use: string;
  bind: Address;
}

/** @param holders every program that listens on it, the broker among them. Pure. */
export function judgePort({ use, bind }: WantedPort, holders: readonly PortHolder[]): Finding {
  const place = `${bind.host}:${bind.port} for ${use}`;
  const there = holders.filter(({ protocol }) => protocol === 'tcp');
  const strange = there.filter(({ process }) => process?.name !== 'broker');
  const [first] = strange;
  if (first === undefined) return ok(there.length === 0 ? `${place} is free` : `${place} is the broker's`);
  const said = strange.map(describeHolder).join('; ');
  return first.process === undefined
    ? warn(`${place} is held by ${said}`, 'run this as root to see by which program')
    : fail(`${place} is held by ${said}`, 'end that program, or give it another address');
}
