import { create } from '@bufbuild/protobuf';
import { buildReason, reasonNumber } from '@coold/errors';
import { type BuildResponseBody, BuildResponseBodySchema, BuildStack } from '@coold/proto';
import { isObject, parseJson } from '@coold/runtime';

/** The outcome of a build: the content of result.json or error.json (docs/contract.md §7). */
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

/** The longest text that is accepted from a file of the builder, in characters. */
const maxText = 64 * 1024;

/** Reads result.json. Returns undefined for a text that is no result. */
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

/** Reads error.json. Returns undefined for a text that is no error. */
export function readError(text: string): BuildOutcome | undefined {
  const value = parse(text);
  if (value === undefined) return undefined;
  const { code, message, stage } = value;
  if (typeof code !== 'number' || !Number.isInteger(code) || code < 400 || code > 599) return undefined;
  if (typeof message !== 'string' || typeof stage !== 'string') return undefined;
  return failed(code, message.slice(0, maxText), stage.slice(0, 100));
}

/** Returns the outcome of a failed build. @param code follows HTTP */
export function failed(code: number, message: string, stage: string): BuildOutcome {
  return { kind: 'err', err: { code, message, stage } };
}

/** Returns the outcome in the form of the protocol. @param nonce the nonce of the dispatch, empty where it had none */
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
    case 'err': {
      const { code, stage } = outcome.err;
      const reason = reasonNumber(buildReason(code, stage));
      return create(BuildResponseBodySchema, {
        body: { case: 'err', value: { ...outcome.err, reason } },
        nonce,
      });
    }
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
  const value = parseJson(text);
  return isObject(value) ? value : undefined;
}
