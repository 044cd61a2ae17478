import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { brokerId } from '../../hosts/host-id.ts';
import { peerAddress } from './peer-address.ts';

/**
 * Returns why a broker is not the one that it claims to be, with both names; undefined when nothing contradicts it.
 *
 * @param saidAddress the address at which it claims to be dialled, `host:port`; without one, Corrosion's counts
 */
export type CheckSender = (
  fromBrokerId: string,
  certificate: X509Certificate,
  saidAddress?: string,
) => string | undefined;

/** The brokers that Corrosion knows. Any host can write such rows. */
export interface KnownSenders {
  ids(): Iterable<string>;
  /** Returns the address at which a broker is dialled, `host:port`; undefined when unknown. */
  addressOf(brokerId: string): string | undefined;
}

/** Brokers that have proved their names: at most as many as connections. */
const maxShown = 256;

/**
 * A certificate that names broker ids, as its common name or as DNS names, is valid for these. A certificate without an
 * id was made for an address only, and is valid for the broker that is dialled there. For a broker that is not known
 * here yet, such a certificate proves nothing and is accepted, because it is from the brokers' CA. Whether a name is an
 * id is only certain for brokers that have proved it. A row in Corrosion with that id counts only against a certificate
 * that does not match the address either: otherwise a host could shut out every holder of a name with such a row.
 */
export function createSenderCheck({ ids, addressOf }: KnownSenders): CheckSender {
  const shown = new Set<string>();

  return (fromBrokerId, certificate, saidAddress) => {
    if (brokerId.parse(fromBrokerId) === undefined) return `from_broker_id: expected ${brokerId.expected}`;
    if (names(certificate, fromBrokerId)) {
      if (shown.size < maxShown) shown.add(fromBrokerId);
      return undefined;
    }
    const certified = `the certificate of ${describe(certificate)}`;
    const ownerAmong = (known: Iterable<string>): string | undefined => {
      for (const id of known)
        if (id !== fromBrokerId && names(certificate, id))
          return `${certified} is broker ${id}'s, and its holder says that it is broker ${fromBrokerId}`;
      return undefined;
    };
    const owner = ownerAmong(shown);
    if (owner !== undefined) return owner;
    const address = peerAddress.parse(saidAddress ?? addressOf(fromBrokerId) ?? '');
    if (address !== undefined && isFor(certificate, address.host)) return undefined;
    const wrongAddress =
      address &&
      `${certified} is not for ${address.host}, where broker ${fromBrokerId} is dialled, and its holder says that it is that broker`;
    return ownerAmong(ids()) ?? wrongAddress;
  };
}

function names(certificate: X509Certificate, id: string): boolean {
  return certificate.checkHost(id, { subject: 'always', wildcards: false }) !== undefined;
}

function isFor(certificate: X509Certificate, host: string): boolean {
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}

/** Describes a certificate on one line, for people. */
function describe({ subject, subjectAltName }: X509Certificate): string {
  const parts = [subject, subjectAltName].filter(part => part !== undefined && part !== '');
  return parts.join(', ').replaceAll('\n', ', ').slice(0, 200);
}
