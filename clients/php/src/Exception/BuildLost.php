<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host came back without the build.
 *
 * Dispatch the build again. (503)
 */
final class BuildLost extends CooldException
{
}
