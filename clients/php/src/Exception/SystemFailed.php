<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * A program of the host's system failed.
 *
 * Read the message; see `coold status` on the host. (502)
 */
final class SystemFailed extends CooldException
{
}
