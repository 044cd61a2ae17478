import { HarnessError } from '../provider.ts';
import type { HetznerApi, Labels } from './api.ts';

/** What everything of ours at Hetzner carries, so that it can be found and told from all else. */
export const ownLabels: Labels = { 'coolify-e2e': '1' };

/** What the servers of one group carry; of no group, nothing more. */
export function groupLabels(group: string | undefined): Labels {
  return group === undefined ? {} : { 'coolify-e2e-group': group };
}

export interface Found {
  servers: { id: number; name: string }[];
  sshKeys: { id: number; name: string }[];
}

/** Servers and keys that carry all of these labels, and of them only those that are ours. */
export async function findLabelled(api: HetznerApi, labels: Labels): Promise<Found> {
  const wanted = { ...labels, ...ownLabels };
  // Asked for by label, and looked at again: what is deleted by mistake does not come back.
  const ours = (found: { labels: Labels }) =>
    Object.entries(wanted).every(([key, value]) => found.labels[key] === value);
  const [servers, sshKeys] = await Promise.all([api.servers(wanted), api.sshKeys({ labels: wanted })]);
  return { servers: servers.filter(ours), sshKeys: sshKeys.filter(ours) };
}

/**
 * Deletes them all, whatever becomes of single ones.
 *
 * @throws HarnessError naming what is left
 */
export async function deleteLabelled(api: HetznerApi, labels: Labels): Promise<Found> {
  const found = await findLabelled(api, labels);
  const failures: string[] = [];
  const attempt = async (what: string, remove: Promise<void>) => {
    await remove.catch((error: unknown) => {
      failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    });
  };
  await Promise.all([
    ...found.servers.map(({ id, name }) => attempt(`server ${name}`, api.deleteServer(id))),
    ...found.sshKeys.map(({ id, name }) => attempt(`SSH key ${name}`, api.deleteSshKey(id))),
  ]);
  if (failures.length > 0)
    throw new HarnessError(`left at Hetzner, where servers cost money until swept: ${failures.join('; ')}`);
  return found;
}
