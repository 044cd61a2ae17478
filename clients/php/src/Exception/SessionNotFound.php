<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The stream that the input is for has ended, or never was.
 *
 * Stop sending input. (404)
 */
final class SessionNotFound extends CooldException
{
}
