<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The request is malformed, or one of its fields has a value that it may not have; `field` names it where there is one.
 *
 * Correct the request; the same request fails again. (400)
 */
final class InvalidRequest extends CooldException
{
}
