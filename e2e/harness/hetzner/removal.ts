import { HarnessError } from '../provider.ts';
import type { HetznerApi, Labels } from './api.ts';

/** The labels of everything that we create at Hetzner, to find it and tell it from other resources. */
export const ownLabels: Labels = { 'coolify-e2e': '1' };

/** Returns the labels of a group's servers; empty without a group. */
export function groupLabels(group: string | undefined): Labels {
  return group === undefined ? {} : { 'coolify-e2e-group': group };
}

export interface Found {
  servers: { id: number; name: string }[];
  sshKeys: { id: number; name: string }[];
}

/** Returns servers and keys with all of these labels that are also ours. */
export async function findLabelled(api: HetznerApi, labels: Labels): Promise<Found> {
  const wanted = { ...labels, ...ownLabels };
  // The API filters by label, and the labels are checked again here, because a deletion cannot be undone.
  const ours = (found: { labels: Labels }) =>
    Object.entries(wanted).every(([key, value]) => found.labels[key] === value);
  const [servers, sshKeys] = await Promise.all([api.servers(wanted), api.sshKeys({ labels: wanted })]);
  return { servers: servers.filter(ours), sshKeys: sshKeys.filter(ours) };
}

/** Deletes all of them, continuing after single failures. @throws HarnessError naming what is left */
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
