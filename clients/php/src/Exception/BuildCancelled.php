<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The build was cancelled.
 *
 * Nothing, or dispatch the build again. (499)
 */
final class BuildCancelled extends CooldException
{
}
