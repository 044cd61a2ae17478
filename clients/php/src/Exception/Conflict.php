<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * What is there stands against what was asked for.
 *
 * Look at the present state and decide again. (409)
 */
final class Conflict extends CooldException
{
}
