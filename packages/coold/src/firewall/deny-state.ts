import type { Cidr } from './cidr.ts';

/** How the default deny of this host is, compared with what the host should have. */
export type DenyState =
  /** It was not looked at yet. */
  | { kind: 'unknown' }
  /** Nothing says that this host should have one. */
  | { kind: 'not wanted' }
  /** @property beyond networks that are denied, and that mesh.env does not name any more */
  | { kind: 'in place'; beyond?: readonly Cidr[] }
  /** It should be there, and is not, or not all of it. */
  | { kind: 'broken'; why: string };
