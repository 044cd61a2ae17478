<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host's coold, or its builder, does not know what was asked for.
 *
 * Upgrade coold on the host. (501)
 */
final class HostTooOld extends CooldException
{
}
