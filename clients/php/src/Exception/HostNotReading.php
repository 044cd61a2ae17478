<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host has left too many commands unread.
 *
 * Repeat the request after a few seconds; if it stays so, look at the load of the host. (503)
 */
final class HostNotReading extends CooldException
{
}
