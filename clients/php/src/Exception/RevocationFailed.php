<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The list of revoked tokens was not changed; the message says why.
 *
 * Read the message, and repeat the request. (503)
 */
final class RevocationFailed extends CooldException
{
}
