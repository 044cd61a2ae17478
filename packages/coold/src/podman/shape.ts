import { VerbError } from '../api/verb-error.ts';

// Readers for what Podman answers: `at` says where in the answer, each throws a VerbError 502 that names it.

export function text(value: unknown, at: string): string {
  if (typeof value !== 'string') throw unexpected(at);
  return value;
}

/** The id of a container, whole. */
export function fullId(value: unknown, at: string): string {
  if (typeof value !== 'string' || !/^[0-9a-f]{64}$/.test(value)) throw unexpected(at);
  return value;
}

export function number(value: unknown, at: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw unexpected(at);
  return value;
}

/** A size or a count: whole and not negative. "No limit" is 2^64 - 1 in places, more than a number of JSON can say. */
export function count(value: unknown, at: string): bigint {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw unexpected(at);
  return BigInt(Math.min(value, Number.MAX_SAFE_INTEGER));
}

export function object(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unexpected(at);
  return value as Record<string, unknown>;
}

export function list(value: unknown, at: string): unknown[] {
  if (!Array.isArray(value)) throw unexpected(at);
  return value;
}

/** A map of texts; Go writes an empty one as null or leaves it out. */
export function texts(value: unknown, at: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(object(value ?? {}, at)).map(([key, item]) => [key, text(item, `${at}.${key}`)]),
  );
}

/** A time of RFC 3339 → Unix time in whole seconds. */
export function seconds(value: unknown, at: string): bigint {
  const ms = Date.parse(text(value, at));
  if (Number.isNaN(ms)) throw unexpected(at);
  return BigInt(Math.max(0, Math.floor(ms / 1000)));
}

/** For an answer that none of the readers above fits. */
export function unexpected(at: string): VerbError {
  return new VerbError(502, `podman's answer is not understood: ${at} is not as expected`);
}
