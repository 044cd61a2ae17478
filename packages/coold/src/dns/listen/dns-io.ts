import type { ValueType } from '@coold/runtime';

/** `COOLD_DNS_IO`: how threads do UDP. */
export type DnsIo = 'auto' | 'ffi' | 'node';

export const dnsIo: ValueType<DnsIo> = {
  expected: 'auto, ffi or node',
  parse(text) {
    switch (text) {
      case 'auto':
      case 'ffi':
      case 'node':
        return text;
      default:
        return undefined;
    }
  },
};
