<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * What was named is not there.
 *
 * Correct the name, or take the thing for removed. (404)
 */
final class NotFound extends CooldException
{
}
