import {
  absolutePath,
  bindAddress,
  type ConfigOf,
  defineCommand,
  integer,
  logFilter,
  oneAddress,
  text,
} from '@coold/runtime';
import { checkPeerOptions, peerOptions } from './peers/peer-options.ts';

/** Every variable and flag of `broker` (docs/contract.md §8). */
export const brokerCommand = defineCommand({
  name: 'broker',
  envPrefix: 'BROKER_',
  summary: 'keeps the streams of all hosts and serves them to Laravel over HTTP on a Unix socket',
  commands: ['doctor', 'keygen', 'status', 'token'],
  otherNames: {
    prefixes: ['SCHEDULER_', 'COOLIFY_FLUX_'],
    names: { tlsCert: ['COOLIFY_FLUX_TLS_CERT_PATH'], tlsKey: ['COOLIFY_FLUX_TLS_KEY_PATH'] },
  },
  options: {
    grpcBind: { type: bindAddress, default: '0.0.0.0:6443', help: 'Address that coolds dial' },
    tlsCert: {
      type: absolutePath,
      help: 'PEM certificate chain of the gRPC listener; reread when it changes and on SIGHUP; unset: plain HTTP/2',
    },
    tlsKey: { type: absolutePath, help: 'PEM key of that certificate, readable by its owner only' },
    jwtPublicKeyPath: {
      type: absolutePath,
      default: '/etc/coolify/jwt.pub',
      help: 'PEM public keys (EC P-256, P-384 or RSA) that verify host tokens: a file of one or several, or a folder of such files; read again when they change and on SIGHUP',
    },
    revokedFile: {
      type: absolutePath,
      help: 'File of revoked tokens, one "jti TOKEN-ID" or "sub HOST-ID" a line, # for comments; read again when it changes and on SIGHUP, written by POST and DELETE /v1/tokens/revoke; unset: none',
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
    metricsBind: {
      type: oneAddress,
      help: 'Address and port on loopback or wg0 that serve /metrics without a token, for example 127.0.0.1:9465; unset: none',
    },
    pendingMax: {
      type: integer(1, 1_000_000),
      default: '10000',
      help: 'The most dispatches at a time, waiting or with an unread answer, together with live streams',
    },
    dispatchTimeoutSecs: {
      type: integer(1, 3600),
      default: '10',
      help: 'Seconds that a host may take to answer a dispatch or to begin a stream; docs/reference/verbs.md names the verbs with a longer limit',
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
