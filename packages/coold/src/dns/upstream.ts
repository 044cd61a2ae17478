import { isIP } from 'node:net';
import { type Address, oneAddress, type ValueType } from '@coold/runtime';
import type { Namespace } from '../discovery/namespaces.ts';

/** Where names outside the zone are asked for. */
export const upstreamAddress: ValueType<Address> = {
  expected: 'the address and port of a resolver such as 1.1.1.1:53',
  parse(text) {
    const address = oneAddress.parse(text);
    return address === undefined || address.port === 0 || isIP(address.host) === 0 ? undefined : address;
  },
};

/** The namespace on whose gateway we answer at this very address: every query would come back to us for ever. */
export function loopsTo(upstream: Address, namespaces: readonly Namespace[]): Namespace | undefined {
  return namespaces.find(({ gateway }) => upstream.port === 53 && upstream.host === gateway);
}
