<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The other side does not support what was asked for.
 *
 * Upgrade the host or the broker. (501)
 */
final class NotSupported extends CooldException
{
}
