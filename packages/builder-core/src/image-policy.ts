import { readFile } from 'node:fs/promises';

/** What containers' libraries read images from beside registries: files of the host, or other engines' stores. */
const localTransports = [
  ...['atomic', 'dir', 'docker-archive', 'docker-daemon', 'oci', 'oci-archive', 'ostree', 'sif', 'tarball'],
];

/**
 * The host's policy for images (containers-policy.json(5)), and nothing but registries and this host's own storage to take
 * them from: \`FROM tarball:/…\` would put any archive of the host into an image, and a base image may ask for it as well
 * (ONBUILD), which no reading of a containerfile shows.
 *
 * @returns undefined when the host has none; then nothing is pulled at all
 * @throws Error when it is no policy
 */
export async function readImagePolicy(path = '/etc/containers/policy.json'): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : withoutLocalTransports(text, path);
}

/** @throws Error naming the file */
export function withoutLocalTransports(text: string, path: string): string {
  const policy: unknown = JSON.parse(text);
  if (!isObject(policy)) throw new Error(`${path}: expected an object`);
  const transports = policy['transports'] ?? {};
  if (!isObject(transports)) throw new Error(`${path}: transports: expected an object`);
  const refused = localTransports.map(name => [name, { '': [{ type: 'reject' }] }]);
  return JSON.stringify({ ...policy, transports: { ...transports, ...Object.fromEntries(refused) } });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
