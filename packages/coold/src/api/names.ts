import { isIPv4 } from 'node:net';
import { VerbError } from './verb-error.ts';

// What callers name, checked before Podman sees it: each returns the value, or throws a VerbError 400 with the field.

/** Podman's own rule for containers, volumes and networks; its length is ours. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
const maxRefLength = 512;
const dnsLabelPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** `[registry[:port]/]path[/…][:tag][@sha256:…]`, or an image's id; nothing that names a transport or an option. */
const refPattern = (() => {
  const domain = '[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?';
  const part = '[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*';
  const tag = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
  return new RegExp(`^(?:${domain}/)?${part}(?:/${part})*(?::${tag})?(?:@sha256:[0-9a-f]{64})?$`);
})();

/** What Podman would read a local file or another store for; "docker:" alone is none, and a well-known image. */
const transportPattern =
  /^(?:atomic|containers-storage|dir|docker-archive|docker-daemon|oci|oci-archive|ostree|sif|tarball):/;

export function checkName(value: string, field: string): string {
  if (!namePattern.test(value))
    throw invalid(
      field,
      'expected 1 to 128 of letters, digits, "_", "." and "-", beginning with a letter or digit',
    );
  return value;
}

export function checkRef(value: string, field: string): string {
  if (value.length > maxRefLength || !refPattern.test(value) || transportPattern.test(value))
    throw invalid(
      field,
      `expected an image reference such as docker.io/library/nginx:alpine, at most ${maxRefLength} characters`,
    );
  return value;
}

export function checkNamespace(value: string, field: string): string {
  if (!dnsLabelPattern.test(value))
    throw invalid(field, 'expected a DNS label: 1 to 63 of lower-case letters, digits and "-"');
  return value;
}

export function checkIpv4(value: string, field: string): string {
  if (!isIPv4(value)) throw invalid(field, 'expected an IPv4 address');
  return value;
}

/** Labels as Podman stores them; NUL ends what is written to the runtime's files. */
export function checkLabels(labels: Record<string, string>, field: string): Record<string, string> {
  for (const [key, value] of Object.entries(labels)) {
    if (key === '' || key.length > 256) throw invalid(field, 'expected keys of 1 to 256 characters');
    if (key.includes('\0') || value.includes('\0'))
      throw invalid(`${field}.${key}`, 'expected text without NUL');
  }
  return labels;
}

export function invalid(field: string, expected: string): VerbError {
  return new VerbError(400, `${field}: ${expected}`, { field });
}
