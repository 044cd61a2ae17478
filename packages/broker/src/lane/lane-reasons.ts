import type { Reason } from '@coold/errors';

// The reasons that each call of the lane can be refused with by the broker itself, for its OpenAPI document. What a host answers
// has HTTP status 200, and may have any reason.

const always = ['invalid_request', 'internal_error', 'broker_stopping'] as const;
const ofBody = ['body_too_slow', 'body_too_large', 'media_type'] as const;
/** Another broker may have the host, or the build. */
const ofPeers = ['host_place_unknown', 'host_elsewhere', 'peer_unreachable', 'peer_failed'] as const;
const ofHost = [
  ...(['host_not_connected', 'host_disconnected', 'host_not_reading', 'host_too_old'] as const),
  ...(['host_answer_unknown', 'dispatch_timeout', 'broker_full', 'request_id_in_flight'] as const),
] as const;
const ofBuild = ['request_id_unknown', 'build_host_away'] as const;

/** The calls of the lane that can be refused, by what the document calls them. */
export type LaneCall =
  | ('dispatch' | 'stream' | 'stream.input' | 'streams' | 'own')
  | ('build.dispatch' | 'build.result' | 'build.cancel' | 'build.delete' | 'build.events')
  | ('tokens.list' | 'tokens.revoke' | 'tokens.restore');

export const laneReasons: Record<LaneCall, readonly Reason[]> = {
  own: always,
  streams: always,
  dispatch: [...always, ...ofBody, ...ofHost, ...ofPeers],
  stream: [...always, ...ofBody, ...ofHost, ...ofPeers, 'stream_broken'],
  'stream.input': [
    ...always,
    ...(['body_too_slow', 'media_type', 'request_id_unknown', 'input_not_taken'] as const),
    ...(['host_disconnected', 'host_not_reading', 'peer_unreachable', 'stream_broken'] as const),
  ],
  'build.dispatch': [
    ...always,
    ...ofBody,
    ...(['no_builder', 'host_too_old', 'request_id_in_flight', 'broker_full'] as const),
    ...(['host_disconnected', 'host_not_reading'] as const),
    ...ofPeers,
  ],
  'build.result': [
    ...always,
    ...ofBuild,
    ...(['result_not_ready', 'too_many_pollers', 'build_lost', 'host_answer_unknown'] as const),
    ...ofPeers,
  ],
  'build.cancel': [...always, ...ofBody, ...ofBuild, ...ofPeers],
  'build.delete': [...always, ...ofBody, ...ofBuild, 'build_not_ended', ...ofPeers],
  'build.events': [...always, ...ofBuild, ...ofHost, 'stream_broken', ...ofPeers],
  'tokens.list': [...always, 'not_configured', 'revocation_failed'],
  'tokens.revoke': [...always, ...ofBody, 'not_configured', 'revocation_failed'],
  'tokens.restore': [...always, ...ofBody, 'not_configured', 'revocation_failed'],
};
