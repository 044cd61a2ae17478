<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The build has not ended within timeout_ms.
 *
 * Ask again; the build goes on. (408)
 */
final class ResultNotReady extends CooldException
{
}
