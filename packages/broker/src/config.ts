import {
  absolutePath,
  bindAddress,
  type ConfigOf,
  defineCommand,
  integer,
  logFilter,
  text,
} from '@coold/runtime';
import { checkPeerOptions, peerOptions } from './peers/peer-options.ts';

/** Every variable and flag of `broker` (docs/contract.md §8). */
export const brokerCommand = defineCommand({
  name: 'broker',
  envPrefix: 'BROKER_',
  summary: 'holds the streams of all hosts and gives Laravel an HTTP lane to them',
  commands: ['keygen', 'status', 'token'],
  options: {
    grpcBind: { type: bindAddress, default: '0.0.0.0:6443', help: 'Address that coolds dial' },
    tlsCert: {
      type: absolutePath,
      help: 'PEM certificate chain of the gRPC listener; read again when it changes and on SIGHUP; unset: plain HTTP/2',
    },
    tlsKey: { type: absolutePath, help: 'PEM key of that certificate, readable by its owner alone' },
    jwtPublicKeyPath: {
      type: absolutePath,
      default: '/etc/coolify/jwt.pub',
      help: 'PEM public key (EC P-256, P-384 or RSA) that verifies host tokens',
    },
    revokedFile: {
      type: absolutePath,
      help: 'File of revoked tokens, one "jti TOKEN-ID" or "sub HOST-ID" a line, # for comments; read again when it changes and on SIGHUP; unset: none',
    },
    unixSocketPath: {
      type: absolutePath,
      default: '/run/coolify/broker.sock',
      help: "Socket of Laravel's HTTP lane",
    },
    unixSocketGroup: {
      type: text,
      help: 'Group that may use the socket (mode 0660); unset: owner only (0600)',
    },
    pendingMax: {
      type: integer(1, 1_000_000),
      default: '10000',
      help: 'Dispatches held at once, waiting and landed together, and live streams with them',
    },
    dispatchTimeoutSecs: {
      type: integer(1, 3600),
      default: '10',
      help: 'Seconds a host has to answer a dispatch, or to begin a stream',
    },
    buildHostGraceSecs: {
      type: integer(1, 86_400),
      default: '900',
      help: 'Seconds a host may be away before its builds are answered 503',
    },
    ...peerOptions,
    logLevel: { type: logFilter, default: 'info', help: 'Level or filter: info,broker.lane=debug' },
  },
  check: config =>
    (config.tlsCert === undefined) === (config.tlsKey === undefined)
      ? checkPeerOptions(config)
      : `BROKER_TLS_${config.tlsCert === undefined ? 'CERT' : 'KEY'} is not set: expected both BROKER_TLS_CERT and BROKER_TLS_KEY, or neither`,
});

export type BrokerConfig = ConfigOf<typeof brokerCommand>;
