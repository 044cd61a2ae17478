<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The repository does not hold what the build needs, or asks for what a build may not do.
 *
 * Correct the repository or the build command. (422)
 */
final class BuildRefused extends CooldException
{
}
