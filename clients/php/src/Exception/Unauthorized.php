<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The bearer token is missing or wrong.
 *
 * Send the token that COOLD_API_TOKEN_FILE of that host holds. (401)
 */
final class Unauthorized extends CooldException
{
}
