import { VerbError } from '@coold/errors';
import { isObject } from '@coold/runtime';

// Readers for Podman's answers. `at` names the place in the answer; each reader throws a VerbError 502 that names it.

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

/** Reads a size or a count: a whole number, not negative. Podman writes "no limit" as 2^64 - 1, more than a JSON number can hold, so larger values are capped. */
export function count(value: unknown, at: string): bigint {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw unexpected(at);
  return BigInt(Math.min(value, Number.MAX_SAFE_INTEGER));
}

export function object(value: unknown, at: string): Record<string, unknown> {
  if (!isObject(value)) throw unexpected(at);
  return value;
}

export function list(value: unknown, at: string): unknown[] {
  if (!Array.isArray(value)) throw unexpected(at);
  return value;
}

/** Reads a map of strings. Go writes an empty map as null or leaves it out. */
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

/** Returns the error for an unexpected answer. */
export function unexpected(at: string): VerbError {
  return new VerbError('podman_failed', `podman's answer is not understood: ${at} is not as expected`);
}
