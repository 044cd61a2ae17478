import { corrosionUrl } from '@coold/corrosion/url';
import { type Address, absolutePath, bindAddress, duration, type Options } from '@coold/runtime';
import { brokerId } from '../host-id.ts';
import { peerAddress } from './peer-address.ts';

/** What a broker is told so that it can stand beside others. */
export const peerOptions = {
  routesCorrosionUrl: {
    type: corrosionUrl,
    help: "This machine's Corrosion, where brokers tell each other which hosts they hold; set with the variables of BROKER_ROUTES_ below, all of them; unset: this broker is alone",
  },
  routesCorrosionTokenFile: {
    type: absolutePath,
    help: "Corrosion's bearer token, readable by its owner alone; read again at every call; unset: none is sent",
  },
  routesBrokerId: { type: brokerId, help: 'What this broker is called among them; no two alike' },
  routesBind: { type: bindAddress, help: 'Address that the other brokers dial, as 0.0.0.0:6444' },
  routesAddress: {
    type: peerAddress,
    help: 'The same as they have to dial it, as broker-2.internal:6444; the certificate names it',
  },
  routesTlsCert: {
    type: absolutePath,
    help: 'PEM certificate chain that this broker shows the others, as server and as client; with its key and CA read again when one changes and on SIGHUP',
  },
  routesTlsKey: { type: absolutePath, help: 'PEM key of that certificate, readable by its owner alone' },
  routesTlsCa: {
    type: absolutePath,
    help: "PEM certificates that vouch for the brokers; whoever has a certificate of theirs can send commands to this broker's hosts",
  },
  routesConnectTimeout: {
    type: duration,
    default: '2s',
    help: 'How long another broker may take to be connected to, before its dispatches are answered 503',
  },
} as const satisfies Options;

/** The same, once it is complete. */
export interface PeerSettings {
  corrosion: { url: string; tokenFile: string | undefined };
  brokerId: string;
  bind: Address;
  address: Address;
  /** Paths. */
  tls: { cert: string; key: string; ca: string };
  connectTimeoutMs: number;
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
}

/** Of those that are set together, the ones that are not. */
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

/** All of them or none; and no timeout that nothing can keep. */
export function checkPeerOptions(config: PeerConfig): string | undefined {
  const missing = missingOf(config);
  if (missing.length > 0)
    return `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not set: expected all variables of BROKER_ROUTES_, or none`;
  return config.routesConnectTimeout < 1 ? 'BROKER_ROUTES_CONNECT_TIMEOUT: expected 1ms or more' : undefined;
}

/** Undefined: this broker is alone. */
export function readPeerSettings(config: PeerConfig): PeerSettings | undefined {
  const { routesCorrosionUrl: url, routesBrokerId, routesBind: bind, routesAddress: address } = config;
  const { routesTlsCert: cert, routesTlsKey: key, routesTlsCa: ca } = config;
  if (url === undefined || routesBrokerId === undefined || bind === undefined || address === undefined)
    return undefined;
  if (cert === undefined || key === undefined || ca === undefined) return undefined;
  return {
    corrosion: { url, tokenFile: config.routesCorrosionTokenFile },
    ...{ brokerId: routesBrokerId, bind, address, tls: { cert, key, ca } },
    connectTimeoutMs: config.routesConnectTimeout,
  };
}
