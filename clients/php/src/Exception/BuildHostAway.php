<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host that has the build is not connected.
 *
 * Ask again once the host is back; its result wins while it is unread. (503)
 */
final class BuildHostAway extends CooldException
{
}
