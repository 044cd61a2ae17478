import { isIPv4 } from 'node:net';
import { VerbError } from '@coold/errors';
import { imageReferenceExpected, isImageReference } from '@coold/runtime';

// Validates names from callers before Podman sees them. Each function returns the value, or throws a VerbError 400 with
// the field.

/** Podman's rule for containers, volumes and networks; the length limit is ours. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
const dnsLabelPattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export function checkName(value: string, field: string): string {
  if (!namePattern.test(value))
    throw invalid(
      field,
      'expected 1 to 128 of letters, digits, "_", "." and "-", beginning with a letter or digit',
    );
  return value;
}

/** Podman would match any image by a prefix of its id. A reference with a tag is never taken for an id. */
const tooShortForId = /^[0-9a-f]{1,11}$/;

/** Accepts a reference, or an image id of at least twelve digits: "cafe" is the name of an image, and is given a tag. */
export function checkRef(value: string, field: string): string {
  if (!isImageReference(value)) throw invalid(field, imageReferenceExpected);
  return tooShortForId.test(value) ? `${value}:latest` : value;
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

/** Labels as Podman stores them, without NUL, which would end the text in the runtime's files. */
export function checkLabels(labels: Record<string, string>, field: string): Record<string, string> {
  for (const [key, value] of Object.entries(labels)) {
    if (key === '' || key.length > 256) throw invalid(field, 'expected keys of 1 to 256 characters');
    if (key.includes('\0') || value.includes('\0'))
      throw invalid(`${field}.${key}`, 'expected text without NUL');
  }
  return labels;
}

export function invalid(field: string, expected: string): VerbError {
  return new VerbError('invalid_request', `${field}: ${expected}`, { field });
}
