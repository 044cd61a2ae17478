<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The build has not ended.
 *
 * Cancel it, or wait for its result. (409)
 */
final class BuildNotEnded extends CooldException
{
}
