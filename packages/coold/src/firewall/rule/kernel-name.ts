import type { ValueType } from '@coold/runtime';

/** A network interface name: what the kernel accepts (15 bytes), except characters that need quoting in a ruleset. */
export const interfaceName: ValueType<string> = {
  expected: 'an interface name of at most 15 letters, digits, dots, dashes and underscores',
  parse: text => (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(text) ? text : undefined),
};

/** A user-defined iptables chain: what iptables accepts (28 bytes), except characters that need quoting. */
export const chainName: ValueType<string> = {
  expected: 'a chain name of at most 28 letters, digits, dashes and underscores, not one of the scaffold',
  parse: text =>
    /^[A-Za-z0-9_][A-Za-z0-9_-]{0,27}$/.test(text) && !taken.has(text.toUpperCase()) ? text : undefined,
};

/** The kernel's own chains and targets, and the scaffold's other chain. */
const taken = new Set([
  'INPUT',
  'OUTPUT',
  'FORWARD',
  'PREROUTING',
  'POSTROUTING',
  'ACCEPT',
  'DROP',
  'RETURN',
  'QUEUE',
  'REJECT',
  'COOLIFY-INTRA',
]);
