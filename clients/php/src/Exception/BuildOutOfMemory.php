<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The build used more memory than it may.
 *
 * Make the build smaller, or raise COOLD_BUILDER_MEMORY_MAX. (500)
 */
final class BuildOutOfMemory extends CooldException
{
}
