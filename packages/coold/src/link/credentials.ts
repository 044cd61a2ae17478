import {
  authorityLife,
  errorMessage,
  type Logger,
  readRegularFile,
  readSecretFile,
  SecretError,
  UnusableError,
} from '@coold/runtime';

/** What a stream to the broker needs. */
export interface Credentials {
  /** The host's JWT (docs/contract.md §1). */
  token: string;
  /** The CA of the broker's certificate as PEM; undefined for the system's CAs. */
  ca: string | undefined;
}

/** The credentials as last read from their files. */
export interface KnownCredentials {
  /** The last usable ones; undefined when there were none yet. */
  current: Credentials | undefined;
  /** Why the files are not usable now. Names the file and never its content. */
  problem: string | undefined;
}

export interface CredentialFiles {
  tokenPath: string;
  /** Undefined when the broker is dialled without TLS, or with the system's certificates. */
  caPath: string | undefined;
}

/**
 * Reads the files of the link's credentials on request. When a file becomes unusable, the former credentials stay,
 * because the file may just be being replaced. A problem is logged when it appears or changes, not at every read.
 */
export function followCredentials(files: CredentialFiles, log: Logger) {
  let known: KnownCredentials = { current: undefined, problem: undefined };
  return {
    now: () => known,
    /** Reads the files. Never rejects. */
    async look(): Promise<KnownCredentials> {
      const before = known;
      try {
        known = { current: await readCredentials(files), problem: undefined };
        if (before.problem !== undefined) log.info('the token and the CA of the link can be used again');
      } catch (error) {
        const problem = errorMessage(error);
        known = { current: before.current, problem };
        if (problem !== before.problem)
          log.error(
            { reason: problem },
            before.current === undefined
              ? "the host's token or the broker's CA cannot be used, so the broker is not dialled; both are read again every few seconds"
              : "the host's token or the broker's CA cannot be read again; those that were read before are used",
          );
      }
      return known;
    },
  };
}

/** @throws UnusableError naming the file that is not usable, never its content */
async function readCredentials({ tokenPath, caPath }: CredentialFiles): Promise<Credentials> {
  const token = await readSecretFile(tokenPath);
  if (!/^[A-Za-z0-9._~+/=-]+$/.test(token))
    throw new SecretError(`${tokenPath} does not hold a token: expected one JWT`);
  return { token, ca: caPath === undefined ? undefined : await readCertificates(caPath) };
}

async function readCertificates(path: string): Promise<string> {
  try {
    const pem = await readRegularFile(path);
    authorityLife(pem); // throws when one of them is not a certificate; TLS would ignore it in silence
    return pem;
  } catch (error) {
    throw new UnusableError(`COOLD_BROKER_CA=${path}: ${errorMessage(error)}`, { cause: error });
  }
}
