import type { Cidr } from '../rule/cidr.ts';

/** The state of this host's default deny, compared with what the host should have. */
export type DenyState =
  /** Not checked yet. */
  | { kind: 'unknown' }
  /** Nothing says that this host should have one. */
  | { kind: 'not wanted' }
  /** @property beyond networks that are denied although mesh.env no longer names them */
  | { kind: 'in place'; beyond?: readonly Cidr[] }
  /** It should be there, and all or part of it is missing. */
  | { kind: 'broken'; why: string };
