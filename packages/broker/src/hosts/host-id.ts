import type { ValueType } from '@coold/runtime';

/** Host ids become map keys, log fields and JSON. None of their characters needs escaping there. */
const pattern = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/;

/** Ids of brokers have the same characters. */
export const brokerId: ValueType<string> = {
  expected:
    'a broker id: 1 to 128 of letters, digits, "_", ".", ":" and "-", beginning with a letter or digit',
  parse: text => (pattern.test(text) ? text : undefined),
};

/** The claim `sub` of a host's token. */
export const hostId: ValueType<string> = {
  expected: 'a host id: 1 to 128 of letters, digits, "_", ".", ":" and "-", beginning with a letter or digit',
  parse: text => (pattern.test(text) ? text : undefined),
};
