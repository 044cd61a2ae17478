import type { Endpoint } from '../endpoint.ts';
import type { DirectoryContent } from './content.ts';
import type { Freshness, Subscribed } from './freshness.ts';
import { createRegistrationIndex, type Registration } from './registration-index.ts';

/**
 * Fills the directory. Rows of a load are kept aside until the load is complete, so that no name is missing meanwhile.
 */
export interface Filling<Row, Key> {
  /** A load begins. An unfinished load is dropped. */
  begin(): void;
  load(row: Row): void;
  /** The load is complete and replaces the content. */
  finish(): void;
  put(row: Row): void;
  remove(key: Key): void;
  /** Whether changes are reported as they happen. */
  connected(isConnected: boolean): void;
  /** @param why changes were not reported, for people */
  resubscribed(why: string): void;
}

/** The key of a registration. */
export interface RegistrationKey {
  serviceId: string;
  containerId: string;
}

/** Fills the directory from `service_endpoints`, whose rows are named by their container. */
export function fillEndpoints(content: DirectoryContent, freshness: Freshness): Filling<Endpoint, string> {
  let aside = content.emptyEndpoints();
  return {
    ...connection('endpoints', freshness),
    begin() {
      aside = content.emptyEndpoints();
    },
    load: row => void aside.put(row),
    finish() {
      // What can be reached, and which hosts are gone, may have changed since a row was loaded.
      aside.reconsider();
      aside.publish();
      content.endpoints = aside;
      content.isLoaded.endpoints = true;
      content.changedUnions();
    },
    put(row) {
      if (content.endpoints.put(row)) content.changed();
    },
    remove(containerId) {
      if (content.endpoints.remove(containerId)) content.changed();
    },
  };
}

/** Fills the directory from `service_registrations`. */
export function fillRegistrations(
  content: DirectoryContent,
  freshness: Freshness,
): Filling<Registration, RegistrationKey> {
  let aside = createRegistrationIndex();
  return {
    ...connection('registrations', freshness),
    begin() {
      aside = createRegistrationIndex();
    },
    load: row => aside.put(row),
    finish() {
      content.registrations = aside;
      content.isLoaded.registrations = true;
      content.changedUnions();
    },
    put(row) {
      content.registrations.put(row);
      content.changedUnions();
    },
    remove({ serviceId, containerId }) {
      content.registrations.remove(serviceId, containerId);
      content.changedUnions();
    },
  };
}

function connection(which: Subscribed, freshness: Freshness) {
  return {
    connected: (isConnected: boolean) => freshness.connected(which, isConnected),
    resubscribed: (why: string) => freshness.resubscribed(which, why),
  };
}
