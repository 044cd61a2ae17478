import type { HostStream } from '../hosts/hosts.ts';
import { buildPlaces } from './placement.ts';

/** A host as `GET /v1/streams` lists it. */
export interface HostListing {
  host_id: string;
  capabilities: readonly string[];
  builder_capacity: number;
  coold_version: string;
  schema_max: number;
  connected_at: string;
  /** When its stream's token expires; null: never. */
  token_ends_at: string | null;
  /** The thumbprint of the key that signed the token. */
  token_key: string | null;
  builds: ReturnType<typeof buildPlaces>;
}

/** The answer of `GET /v1/streams?all=1`: the hosts of all brokers. */
export interface Fleet {
  /** `broker_id` is null when this broker is alone and has none. */
  hosts: (HostListing & { broker_id: string | null })[];
  brokers: FleetBroker[];
  /** False: a broker that is not dead did not answer, or there are more hosts than are listed. */
  complete: boolean;
}

/** A broker, and whether its hosts are listed. */
export interface FleetBroker {
  broker_id: string | null;
  /** The address that others dial; null: this broker is alone. */
  address: string | null;
  /** `silent`: it did not answer in time, `dead`: it was not asked, `old`: its version does not list hosts for others. */
  state: 'here' | 'answered' | 'silent' | 'dead' | 'old';
  /** The number of its hosts; for one that did not answer, the number of its routes in Corrosion. */
  hosts: number;
  /** Why it did not answer. */
  error: string | null;
}

/** The most hosts in a list, over all brokers. */
export const maxFleetHosts = 50_000;

/** @param load builds that the host runs or has queued */
export function listHost(stream: HostStream, load: number): HostListing {
  return {
    host_id: stream.hostId,
    capabilities: stream.capabilities,
    builder_capacity: stream.builderCapacity,
    coold_version: stream.cooldVersion,
    schema_max: stream.schemaMax,
    connected_at: stream.connectedAt.toISOString(),
    token_ends_at: Number.isFinite(stream.tokenExpiresAt)
      ? new Date(stream.tokenExpiresAt).toISOString()
      : null,
    token_key: stream.tokenKeyId ?? null,
    builds: buildPlaces(stream, load),
  };
}
