<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * No broker has a stream of this host.
 *
 * Check host_id; if it is right, see `coold status` on the host. (404)
 */
final class HostNotConnected extends CooldException
{
}
