<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * A request of this request_id is still under way.
 *
 * Wait for its answer, or use another request_id. (409)
 */
final class RequestIdInFlight extends CooldException
{
}
