/** How the default deny of this host is, compared with what the host should have. */
export type DenyState =
  /** It was not looked at yet. */
  | { kind: 'unknown' }
  /** Nothing says that this host should have one. */
  | { kind: 'not wanted' }
  | { kind: 'in place' }
  /** It should be there, and is not, or not all of it. */
  | { kind: 'broken'; why: string };
