<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * A step of the build ended with an error.
 *
 * Read the build's events and correct the repository. (422)
 */
final class BuildStepFailed extends CooldException
{
}
