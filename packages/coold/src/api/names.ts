import { isIPv4 } from 'node:net';
import { imageReferenceExpected, isImageReference } from '@coold/runtime';
import { VerbError } from './verb-error.ts';

// What callers name, checked before Podman sees it: each returns the value, or throws a VerbError 400 with the field.

/** Podman's own rule for containers, volumes and networks; its length is ours. */
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

/** Podman would find any image by the beginning of its id; it finds none by one that has a tag. */
const tooShortForId = /^[0-9a-f]{1,11}$/;

/** A reference, or an image's id with twelve digits at least: "cafe" is the name of one, and comes with its tag. */
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
