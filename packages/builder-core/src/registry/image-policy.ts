import { readFile } from 'node:fs/promises';
import { isObject } from '@coold/runtime/unknown-values';

/** The transports of container libraries that read images from files of the host or stores of other engines. */
const localTransports = [
  ...['atomic', 'dir', 'docker-archive', 'docker-daemon', 'oci', 'oci-archive', 'ostree', 'sif', 'tarball'],
];

/**
 * Returns the host's image policy (containers-policy.json(5)), restricted to registries and the storage of this host as
 * sources. `FROM tarball:/…` would otherwise put any archive of the host into an image. A base image can use it, too
 * (ONBUILD), so checking the Containerfile is not enough.
 *
 * @returns the policy as JSON, or undefined when the host has none; then buildah pulls nothing
 * @throws Error when the file is not a policy
 */
export async function readImagePolicy(path = '/etc/containers/policy.json'): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : withoutLocalTransports(text, path);
}

/** Returns a policy that rejects every local transport. @param path for messages @throws Error naming the file */
export function withoutLocalTransports(text: string, path: string): string {
  const policy: unknown = JSON.parse(text);
  if (!isObject(policy)) throw new Error(`${path}: expected an object`);
  const transports = policy['transports'] ?? {};
  if (!isObject(transports)) throw new Error(`${path}: transports: expected an object`);
  const refused = localTransports.map(name => [name, { '': [{ type: 'reject' }] }]);
  return JSON.stringify({ ...policy, transports: { ...transports, ...Object.fromEntries(refused) } });
}
