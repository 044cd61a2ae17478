<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The build, or a server that it needs, took too long.
 *
 * Make the build quicker, or raise COOLD_BUILDER_TIMEOUT_SECS. (504)
 */
final class BuildTimeout extends CooldException
{
}
