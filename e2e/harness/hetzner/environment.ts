import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { HarnessError } from '../provider.ts';

/** The Hetzner settings from the environment. */
export interface HetznerSettings {
  token: string;
  /** Name of the token's project, for messages only: the API identifies the project by the token. */
  project: string;
  /** Path of the private key; the public key is the same path with `.pub`. */
  sshKey: string;
  location: string | undefined;
  image: string;
  /** undefined: the cheapest sufficient type. */
  serverType: string | undefined;
  /** Servers are kept after the run for inspection. */
  keepServers: boolean;
}

export type Surroundings =
  | { kind: 'ready'; settings: HetznerSettings }
  /** Hetzner is not configured here; tests that need it are skipped with this reason. */
  | { kind: 'absent'; reason: string };

/** The repository's root, which contains `.env`. */
const repositoryRoot = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Reads the settings from exported variables and from `.env`. Exported variables take precedence, and reading exports
 * nothing.
 *
 * @throws HarnessError when there is a token and another setting is missing or invalid, since that is a mistake
 */
export function readSurroundings(
  exported: NodeJS.ProcessEnv = process.env,
  root: string = repositoryRoot,
): Surroundings {
  const env = withDotenv(exported, join(root, '.env'));
  const token = env['HETZNER_TOKEN'];
  if (token === undefined)
    return { kind: 'absent', reason: 'HETZNER_TOKEN is not set: no servers of Hetzner Cloud can be made' };
  // The token is sent in a header. Anything else must reach neither a header nor a message.
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new HarnessError('HETZNER_TOKEN holds characters that no token has (a line break, a space?)');
  const sshKey = absolute(required(env, 'SSH_KEY', 'the path of a private SSH key'), root);
  for (const file of [sshKey, `${sshKey}.pub`]) {
    if (!existsSync(file)) throw new HarnessError(`SSH_KEY: ${file} does not exist (ssh-keygen makes both)`);
  }
  return {
    kind: 'ready',
    settings: {
      token,
      project: required(env, 'HETZNER_PROJECT', 'the name of the project that HETZNER_TOKEN belongs to'),
      sshKey,
      location: env['HETZNER_LOCATION'],
      image: env['HETZNER_IMAGE'] ?? 'debian-12',
      serverType: env['HETZNER_SERVER_TYPE'],
      keepServers: env['E2E_KEEP_VMS'] === '1',
    },
  };
}

/** Whether the caller confirmed the deletion explicitly. */
export function sweepConfirmed(
  exported: NodeJS.ProcessEnv = process.env,
  root: string = repositoryRoot,
): boolean {
  return withDotenv(exported, join(root, '.env'))['CONFIRM_SWEEP'] === '1';
}

/** Returns the exported variables and those that `.env` adds; empty variables are left out. */
export function readEnvironment(
  exported: NodeJS.ProcessEnv = process.env,
  root: string = repositoryRoot,
): Partial<Record<string, string>> {
  return withDotenv(exported, join(root, '.env'));
}

function withDotenv(exported: NodeJS.ProcessEnv, file: string): Partial<Record<string, string>> {
  const merged = { ...readDotenv(file), ...exported };
  // An empty variable counts as unset, so that a value of the file can be disabled for one run.
  return Object.fromEntries(
    Object.entries(merged).filter(([, value]) => value !== undefined && value !== ''),
  );
}

function readDotenv(file: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new HarnessError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function required(env: Partial<Record<string, string>>, name: string, expected: string): string {
  const value = env[name];
  if (value === undefined) throw new HarnessError(`${name} is not set: expected ${expected}`);
  return value;
}

function absolute(path: string, root: string): string {
  if (path.startsWith('~/')) return join(homedir(), path.slice(2));
  return path.startsWith('/') ? path : join(root, path);
}
