<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * A program or server that the host needs failed.
 *
 * Read the message. (502)
 */
final class UpstreamFailed extends CooldException
{
}
