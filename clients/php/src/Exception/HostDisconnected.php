<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host's stream ended while the request was under way; the host may still do the work.
 *
 * Ask for the state, and repeat the request once the host is back. (503)
 */
final class HostDisconnected extends CooldException
{
}
