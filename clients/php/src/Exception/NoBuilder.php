<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * No host that may build is connected, or the named host does not build.
 *
 * Connect a host with COOLD_BUILDER_ENABLED, or name another host. (503)
 */
final class NoBuilder extends CooldException
{
}
