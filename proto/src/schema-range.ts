// Imported by itself: `--version` says the range without the descriptors of all messages.

/** The schemas that a broker of this build speaks; a coold speaks up to that of its newest verb. */
export const SCHEMA_MIN = 1;
export const SCHEMA_MAX = 2;
