import {
  errorMessage,
  followFiles,
  type Hangups,
  type Logger,
  type UnreadFilesList,
  UnusableError,
} from '@coold/runtime';
import type { Hosts } from '../hosts/hosts.ts';
import type { SharedRevocations } from '../peers/revocations/shared-list.ts';
import { createVerifier, type Verifier } from './auth.ts';
import { endInvalidStreams } from './end-invalid.ts';
import { keepRevocation, type RevocationEdits } from './revocation.ts';
import { readTokenKeys, type TokenKey, tokenKeyFiles } from './token-keys.ts';

/** Host tokens: the keys that verify them, and which of them are revoked. */
export interface HostTokens {
  /** Verifies a token with the current keys and revocations. */
  verify: Verifier;
  /** Ends the live streams whose token is no longer valid: it has expired, was revoked, or its key was removed. */
  endInvalidStreams(): void;
  /** Undefined when this broker has no file of revoked tokens. */
  edits: RevocationEdits | undefined;
  /** The revocations that brokers share. Undefined when this broker is alone. */
  shared: SharedRevocations | undefined;
}

export interface HostTokensOptions {
  config: { jwtPublicKeyPath: string; revokedFile: string | undefined };
  hosts: Hosts;
  /** Whether there are other brokers to share revocations with. */
  isShared: boolean;
  /** Receives files that could not be read again. */
  unread?: Pick<UnreadFilesList, 'note'> | undefined;
  hangups: Hangups;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Follows the files of keys and revocations until the signal aborts.
 *
 * @throws UnusableError naming the variable when a file is not usable at start
 */
export async function keepHostTokens(options: HostTokensOptions): Promise<HostTokens> {
  const { config, hosts, isShared, unread, hangups, log, signal } = options;
  const { jwtPublicKeyPath } = config;
  let keys: readonly TokenKey[] = [];
  const isKeyGone = (keyId: string | undefined) =>
    keyId !== undefined && !keys.some(({ thumbprint }) => thumbprint === keyId);
  const endInvalid = () =>
    endInvalidStreams({ hosts, isRevoked: one => isRevoked(one) || isKeyGone(one.tokenKeyId), log });
  const { isRevoked, edits, shared } = await keepRevocation({
    path: config.revokedFile,
    isShared,
    onChange: endInvalid,
    unread,
    hangups,
    log,
    signal,
  });
  keys = await followFiles({
    what: 'public keys of host tokens',
    paths: () => tokenKeyFiles(jwtPublicKeyPath),
    read: () => loadKeys(jwtPublicKeyPath),
    use(next) {
      keys = next;
      verify = createVerifier(keys, { isRevoked });
      log.info({ keys: keys.map(({ names }) => names.at(-1)) }, 'tokens are verified by these keys');
      endInvalid();
    },
    unread,
    hangups,
    log,
    signal,
  });
  let verify = createVerifier(keys, { isRevoked });
  return { verify: authorization => verify(authorization), endInvalidStreams: endInvalid, edits, shared };
}

async function loadKeys(path: string): Promise<readonly TokenKey[]> {
  try {
    return await readTokenKeys(path);
  } catch (error) {
    throw new UnusableError(`BROKER_JWT_PUBLIC_KEY_PATH=${path}: ${errorMessage(error)}`, { cause: error });
  }
}
