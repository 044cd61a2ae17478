<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host has no allow rule of this id.
 *
 * Take the rule for revoked. (404)
 */
final class RuleNotFound extends CooldException
{
}
