<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * A container still uses it.
 *
 * Remove what uses it first. (409)
 */
final class InUse extends CooldException
{
}
