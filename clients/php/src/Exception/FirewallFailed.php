<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The packet filter did not take the change, or could not be read; the message says what stands.
 *
 * Repeat the request; if it stays so, see firewall.status and `coold status`. (503)
 */
final class FirewallFailed extends CooldException
{
}
