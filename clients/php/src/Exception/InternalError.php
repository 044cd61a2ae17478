<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The program has a fault; its log has the details.
 *
 * Report it with the log lines of that request_id. (500)
 */
final class InternalError extends CooldException
{
}
