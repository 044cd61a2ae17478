<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The broker is stopping.
 *
 * Repeat the request once the broker is back. (503)
 */
final class BrokerStopping extends CooldException
{
}
