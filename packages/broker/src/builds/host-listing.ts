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
  /** When the token of its stream ends; null: never. */
  token_ends_at: string | null;
  /** The thumbprint of the key that signed it. */
  token_key: string | null;
  builds: ReturnType<typeof buildPlaces>;
}

/** What `GET /v1/streams?all=1` answers: the hosts of all brokers. */
export interface Fleet {
  /** `broker_id` is null where this broker is alone and has none. */
  hosts: (HostListing & { broker_id: string | null })[];
  brokers: FleetBroker[];
  /** False: a broker that is not dead did not answer, or there are more hosts than are listed. */
  complete: boolean;
}

/** A broker, and how it came to its hosts being listed or not. */
export interface FleetBroker {
  broker_id: string | null;
  /** Where the others dial it; null: this broker is alone. */
  address: string | null;
  /** `silent`: it did not answer in time, `dead`: it was not asked, `old`: its version does not list hosts for others. */
  state: 'here' | 'answered' | 'silent' | 'dead' | 'old';
  /** How many hosts it has: of one that did not answer, as many as Corrosion has routes of. */
  hosts: number;
  /** Why it did not answer. */
  error: string | null;
}

/** Hosts that are listed at the most, of all brokers together. */
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
