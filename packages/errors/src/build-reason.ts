import type { Reason as ReasonNumber } from '@coold/proto';
import { generalReason, type Reason, readReason, reasonNumber } from './reason.ts';

/** Returns why a build ended without an image, from the code and the stage that its builder recorded (docs/contract.md §7). */
export function buildReason(code: number, stage: string): Reason {
  switch (code) {
    case 422:
      if (stage === 'git') return 'repository_unusable';
      return stage === 'buildah' ? 'build_step_failed' : 'build_refused';
    case 499:
      return 'build_cancelled';
    case 500:
      return stage === 'memory' ? 'build_out_of_memory' : 'build_failed';
    case 502:
      return stage === 'git' ? 'repository_unreachable' : 'registry_failed';
    case 504:
      return 'build_timeout';
    default:
      return generalReason(code);
  }
}

/** Reads the reason that a host sent for a failed build. Where it sent none, code and stage decide. */
export function readBuildReason(number: ReasonNumber, code: number, stage: string): Reason {
  const given = readReason(number, code);
  return reasonNumber(given) === number ? given : buildReason(code, stage);
}
