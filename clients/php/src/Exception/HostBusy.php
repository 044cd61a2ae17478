<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host does as much of this at once as it may.
 *
 * Repeat the request after a few seconds. (503)
 */
final class HostBusy extends CooldException
{
}
