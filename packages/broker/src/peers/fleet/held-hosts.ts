import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type HeldHost, type HeldHostSchema, HostsAnswerSchema } from '@coold/proto';
import type { HostListing } from '../../builds/host-listing.ts';

// Hosts as one broker lists them for another. Pure.

/** Hosts of one message; an answer is as many of them as it needs. */
const hostsAtOnce = 500;

/** @returns messages of HostsAnswer */
export function* writeHeldHosts(listings: readonly HostListing[]): Iterable<Uint8Array> {
  for (let at = 0; at < listings.length; at += hostsAtOnce) {
    const hosts = listings.slice(at, at + hostsAtOnce).map(writeHost);
    yield toBinary(HostsAnswerSchema, create(HostsAnswerSchema, { hosts }));
  }
}

function writeHost(listing: HostListing): MessageInitShape<typeof HeldHostSchema> {
  const { token_ends_at: ends, token_key: key, builds } = listing;
  return {
    hostId: listing.host_id,
    capabilities: [...listing.capabilities],
    builderCapacity: listing.builder_capacity,
    cooldVersion: listing.coold_version,
    schemaMax: listing.schema_max,
    connectedAt: BigInt(Date.parse(listing.connected_at)),
    ...(ends === null ? {} : { tokenEndsAt: BigInt(Date.parse(ends)) }),
    ...(key === null ? {} : { tokenKey: key }),
    buildsRunning: builds.running,
    buildsQueued: builds.queued,
  };
}

/** Hosts of one message, in bounds. @throws Error for what is no HostsAnswer */
export function readHeldHosts(bytes: Uint8Array): HostListing[] {
  return fromBinary(HostsAnswerSchema, bytes).hosts.map(readHost);
}

const maxText = 128;
const maxCapabilities = 16;

function readHost(host: HeldHost): HostListing {
  return {
    host_id: host.hostId.slice(0, maxText),
    capabilities: host.capabilities.slice(0, maxCapabilities).map(name => name.slice(0, maxText)),
    builder_capacity: host.builderCapacity,
    coold_version: host.cooldVersion.slice(0, maxText),
    schema_max: host.schemaMax,
    connected_at: instant(host.connectedAt),
    token_ends_at: host.tokenEndsAt === undefined ? null : instant(host.tokenEndsAt),
    token_key: host.tokenKey?.slice(0, maxText) ?? null,
    builds: { running: host.buildsRunning, queued: host.buildsQueued },
  };
}

/** The last moment that a Date can be, in ms since 1970. */
const lastMs = 8_640_000_000_000_000;

function instant(ms: bigint): string {
  return new Date(Math.max(-lastMs, Math.min(lastMs, Number(ms)))).toISOString();
}
