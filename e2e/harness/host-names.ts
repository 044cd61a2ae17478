import { HarnessError } from './provider.ts';

/** Adds the wanted names to the taken ones: all of them or, with an error, none. @throws HarnessError */
export function claimNames(wanted: readonly string[], taken: Set<string>, most: number): void {
  for (const [number, name] of wanted.entries()) {
    if (!/^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$/.test(name))
      throw new HarnessError(`host name "${name}": expected a DNS label of at most 12 characters`);
    if (taken.has(name) || wanted.indexOf(name) !== number)
      throw new HarnessError(`host name "${name}" is taken`);
  }
  if (taken.size + wanted.length > most) throw new HarnessError(`more than ${most} hosts in one run`);
  for (const name of wanted) taken.add(name);
}
