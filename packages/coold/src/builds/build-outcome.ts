import { create } from '@bufbuild/protobuf';
import { type BuildResponseBody, BuildResponseBodySchema, BuildStack } from '@coold/proto';

/** How a build ended: what result.json or error.json says (docs/contract.md §7). */
export type BuildOutcome = { kind: 'ok'; ok: BuildResult } | { kind: 'err'; err: BuildError };

export interface BuildResult {
  digest: string;
  registry_ref: string;
  duration_ms: number;
  stack_used: string;
}

export interface BuildError {
  code: number;
  message: string;
  stage: string;
}

/** What a file of the builder is read for; more than this it never has, in characters. */
const maxText = 64 * 1024;

/** Reads result.json. undefined: it is none, and stands for no outcome. */
export function readResult(text: string): BuildOutcome | undefined {
  const value = parse(text);
  if (value === undefined) return undefined;
  const { digest, registry_ref, duration_ms, stack_used } = value;
  if (typeof digest !== 'string' || !/^sha256:[0-9a-f]{64}$/.test(digest)) return undefined;
  if (typeof registry_ref !== 'string' || registry_ref.length > maxText) return undefined;
  if (typeof duration_ms !== 'number' || !Number.isSafeInteger(duration_ms) || duration_ms < 0)
    return undefined;
  if (typeof stack_used !== 'string') return undefined;
  return { kind: 'ok', ok: { digest, registry_ref, duration_ms, stack_used } };
}

/** Reads error.json. undefined: it is none, and stands for no outcome. */
export function readError(text: string): BuildOutcome | undefined {
  const value = parse(text);
  if (value === undefined) return undefined;
  const { code, message, stage } = value;
  if (typeof code !== 'number' || !Number.isInteger(code) || code < 400 || code > 599) return undefined;
  if (typeof message !== 'string' || typeof stage !== 'string') return undefined;
  return failed(code, message.slice(0, maxText), stage.slice(0, 100));
}

export function failed(code: number, message: string, stage: string): BuildOutcome {
  return { kind: 'err', err: { code, message, stage } };
}

/** As the broker is told. @param nonce of the dispatch that it answers; empty where that had none */
export function toResponse(outcome: BuildOutcome, nonce = ''): BuildResponseBody {
  switch (outcome.kind) {
    case 'ok': {
      const { digest, registry_ref, duration_ms, stack_used } = outcome.ok;
      const value = {
        digest,
        registryRef: registry_ref,
        durationMs: BigInt(duration_ms),
        stackUsed: stackOf(stack_used),
      };
      return create(BuildResponseBodySchema, { body: { case: 'ok', value }, nonce });
    }
    case 'err':
      return create(BuildResponseBodySchema, { body: { case: 'err', value: outcome.err }, nonce });
  }
}

function stackOf(name: string): BuildStack {
  switch (name) {
    case 'static':
      return BuildStack.STATIC;
    case 'dockerfile':
      return BuildStack.DOCKERFILE;
    default:
      return BuildStack.UNSPECIFIED;
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
