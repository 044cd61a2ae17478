import { corrosionUrl } from '@coold/corrosion/url';
import { type Address, absolutePath, bindAddress, duration, type Options } from '@coold/runtime';
import { brokerId } from '../hosts/host-id.ts';
import { peerAddress } from './link/peer-address.ts';

/** The options that join a broker with others. */
export const peerOptions = {
  routesCorrosionUrl: {
    type: corrosionUrl,
    help: "This machine's Corrosion, where brokers publish which hosts they have; requires all variables BROKER_ROUTES_ below; unset: this broker is alone",
  },
  routesCorrosionTokenFile: {
    type: absolutePath,
    help: "File with Corrosion's bearer token, readable by its owner only; reread at every call; unset: none is sent",
  },
  routesBrokerId: { type: brokerId, help: "This broker's id, unique among the brokers" },
  routesBind: { type: bindAddress, help: 'Address that the other brokers dial, as 0.0.0.0:6444' },
  routesAddress: {
    type: peerAddress,
    help: 'The address that other brokers dial, for example broker-2.internal:6444; the certificate must name it',
  },
  routesTlsCert: {
    type: absolutePath,
    help: 'PEM certificate chain that this broker presents to the others, as server and as client; reread with its key and CA when one of them changes and on SIGHUP',
  },
  routesTlsKey: { type: absolutePath, help: 'PEM key of that certificate, readable by its owner only' },
  routesTlsCa: {
    type: absolutePath,
    help: "PEM CA certificates of the brokers; every certificate that they sign allows its holder to send commands to this broker's hosts",
  },
  routesConnectTimeout: {
    type: duration,
    default: '2s',
    help: 'How long connecting to another broker may take before dispatches for its hosts are answered with 503',
  },
  routesTtl: {
    type: duration,
    default: '40s',
    help: "How long another broker's heartbeat may stay unchanged before its routes are ignored; after 15 times as long its rows are removed; give every broker the same value",
  },
} as const satisfies Options;

/** The same options, once they are complete. */
export interface PeerSettings {
  corrosion: { url: string; tokenFile: string | undefined };
  brokerId: string;
  bind: Address;
  address: Address;
  /** Paths. */
  tls: { cert: string; key: string; ca: string };
  connectTimeoutMs: number;
  /** How long a heartbeat may stay unchanged, in ms. */
  ttlMs: number;
}

interface PeerConfig {
  routesCorrosionUrl: string | undefined;
  routesCorrosionTokenFile: string | undefined;
  routesBrokerId: string | undefined;
  routesBind: Address | undefined;
  routesAddress: Address | undefined;
  routesTlsCert: string | undefined;
  routesTlsKey: string | undefined;
  routesTlsCa: string | undefined;
  routesConnectTimeout: number;
  routesTtl: number;
}

/** Returns the unset options of a group that has to be set together. */
function missingOf(config: PeerConfig): string[] {
  const needed = {
    CORROSION_URL: config.routesCorrosionUrl,
    BROKER_ID: config.routesBrokerId,
    BIND: config.routesBind,
    ADDRESS: config.routesAddress,
    TLS_CERT: config.routesTlsCert,
    TLS_KEY: config.routesTlsKey,
    TLS_CA: config.routesTlsCa,
  };
  const absent = Object.entries(needed).filter(([, value]) => value === undefined);
  const isAlone =
    absent.length === Object.keys(needed).length && config.routesCorrosionTokenFile === undefined;
  return isAlone ? [] : absent.map(([name]) => `BROKER_ROUTES_${name}`);
}

/** Four heartbeats, each reported by Corrosion within 600 ms (docs/contract.md §5), on a busy machine. */
const leastTtlMs = 5000;

/** Either all or none have to be set, and the timeout has to be achievable. */
export function checkPeerOptions(config: PeerConfig): string | undefined {
  const missing = missingOf(config);
  if (missing.length > 0)
    return `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not set: expected all variables of BROKER_ROUTES_, or none`;
  if (config.routesConnectTimeout < 1) return 'BROKER_ROUTES_CONNECT_TIMEOUT: expected 1ms or more';
  return config.routesTtl < leastTtlMs ? 'BROKER_ROUTES_TTL: expected 5s or more' : undefined;
}

/** Undefined when this broker is alone. */
export function readPeerSettings(config: PeerConfig): PeerSettings | undefined {
  const { routesCorrosionUrl: url, routesBrokerId, routesBind: bind, routesAddress: address } = config;
  const { routesTlsCert: cert, routesTlsKey: key, routesTlsCa: ca } = config;
  if (url === undefined || routesBrokerId === undefined || bind === undefined || address === undefined)
    return undefined;
  if (cert === undefined || key === undefined || ca === undefined) return undefined;
  return {
    corrosion: { url, tokenFile: config.routesCorrosionTokenFile },
    brokerId: routesBrokerId,
    bind,
    address,
    tls: { cert, key, ca },
    connectTimeoutMs: config.routesConnectTimeout,
    ttlMs: config.routesTtl,
  };
}
