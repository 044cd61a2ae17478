<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The broker that has the host could not be reached, or did not take the request.
 *
 * Repeat the request after a few seconds; if it stays so, see the log of both brokers. (503)
 */
final class PeerUnreachable extends CooldException
{
}
