<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host whose rows were to be removed may still live.
 *
 * Wait until the host is gone for COOLD_HOST_TTL. (409)
 */
final class HostMayLive extends CooldException
{
}
