<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The builder failed in a way that is not the repository's fault.
 *
 * Read the message and the build's events; dispatch the build again. (500)
 */
final class BuildFailed extends CooldException
{
}
