import {
  certificateLife,
  errorMessage,
  followFiles,
  type Hangups,
  type Life,
  type Logger,
  readTlsPair,
  type TlsPair,
  type UnreadFilesList,
  UnusableError,
} from '@coold/runtime';

/** The certificate pair of the gRPC listener, as its files have it. */
export interface ListenerTls {
  /** undefined: plain HTTP/2. */
  pair(): TlsPair | undefined;
  /** Returns the life of the certificate, undefined for plain HTTP/2. */
  life(): Life | undefined;
}

export interface ListenerTlsOptions {
  config: { tlsCert: string | undefined; tlsKey: string | undefined };
  /** Called with the next pair after a file has changed. */
  onChange(pair: TlsPair): void;
  /** Told of files that cannot be read again. */
  unread?: Pick<UnreadFilesList, 'note'> | undefined;
  hangups: Hangups;
  log: Logger;
  signal: AbortSignal;
}

/** @throws UnusableError naming the variables when the pair cannot be used at start */
export async function followListenerTls({
  config: { tlsCert: cert, tlsKey: key },
  onChange,
  unread,
  hangups,
  log,
  signal,
}: ListenerTlsOptions): Promise<ListenerTls> {
  if (cert === undefined || key === undefined) return { pair: () => undefined, life: () => undefined };
  let pair = await followFiles({
    what: 'certificate of the gRPC listener',
    paths: [cert, key],
    read: () => loadPair({ cert, key }),
    use(next) {
      pair = next;
      onChange(next);
    },
    unread,
    hangups,
    log,
    signal,
  });
  return { pair: () => pair, life: () => certificateLife(pair.cert) };
}

async function loadPair(files: { cert: string; key: string }): Promise<TlsPair> {
  try {
    return await readTlsPair(files);
  } catch (error) {
    throw new UnusableError(`BROKER_TLS_CERT and BROKER_TLS_KEY: ${errorMessage(error)}`, { cause: error });
  }
}
