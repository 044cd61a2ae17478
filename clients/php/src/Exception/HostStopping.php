<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * coold on the host is stopping.
 *
 * Repeat the request once the host is back. (503)
 */
final class HostStopping extends CooldException
{
}
