import type { Reason } from '@coold/errors';
import { errorResponses, type Schema } from '@coold/openapi';

/** The reasons with which the REST API refuses calls, without those of the broker and of builders. */
export const restReasons: readonly Reason[] = [
  ...(['invalid_request', 'unauthorized', 'denied', 'no_such_path', 'method_not_allowed'] as const),
  ...(['body_too_slow', 'body_too_large', 'media_type', 'session_not_found', 'input_not_taken'] as const),
  ...(['container_not_found', 'image_not_found', 'network_not_found', 'volume_not_found'] as const),
  ...(['rule_not_found', 'not_found', 'name_taken', 'in_use', 'container_state', 'subnet_taken'] as const),
  ...([
    'no_free_address',
    'host_may_live',
    'rule_without_effect',
    'conflict',
    'snapshot_unreadable',
  ] as const),
  ...(['answer_too_large', 'internal_error', 'not_configured', 'not_supported', 'host_too_old'] as const),
  ...(['podman_failed', 'registry_denied', 'registry_failed', 'corrosion_failed', 'system_failed'] as const),
  ...(['upstream_failed', 'host_busy', 'host_stopping', 'host_starting', 'podman_unavailable'] as const),
  ...(['corrosion_unavailable', 'firewall_failed', 'unavailable', 'dispatch_timeout', 'no_space'] as const),
];

/** Returns the body of an error with one of these reasons. */
export function restError(reason: Schema): Schema {
  return {
    type: 'object',
    required: ['error', 'reason'],
    properties: {
      error: { type: 'string', description: 'What went wrong, for people.' },
      reason,
      field: { type: 'string', description: 'The field of the request that offends, where one does.' },
    },
  };
}

/** The error responses of every verb, by status. */
export const restErrors = errorResponses(restReasons, restError);
