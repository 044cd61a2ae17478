import type { ValueType } from '@coold/runtime';

/** The broker's address. The path of the URL has no meaning (docs/contract.md §1). */
export interface BrokerUrl {
  /** Name or address without brackets. The broker's certificate has to match it. */
  host: string;
  /** `host:port` to connect to, with brackets around IPv6. */
  authority: string;
  tls: boolean;
}

/** Whether a scheme means TLS, and its default port. */
const schemes: Record<string, { tls: boolean; port: string }> = {
  'grpcs:': { tls: true, port: '6443' },
  'https:': { tls: true, port: '443' },
  'grpc:': { tls: false, port: '6443' },
  'http:': { tls: false, port: '80' },
};

export const brokerUrl: ValueType<BrokerUrl> = {
  expected: 'a URL such as grpcs://broker:6443/v1/agent (grpcs, https, grpc or http)',
  parse(value) {
    if (!URL.canParse(value)) return undefined;
    const { protocol, hostname, port, username, password, search, hash } = new URL(value);
    const scheme = Object.hasOwn(schemes, protocol) ? schemes[protocol] : undefined;
    if (scheme === undefined || hostname === '' || `${username}${password}${search}${hash}` !== '')
      return undefined;
    return {
      host: hostname.replace(/^\[|\]$/g, ''),
      authority: `${hostname}:${port === '' ? scheme.port : port}`,
      tls: scheme.tls,
    };
  },
};
