<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The broker has as many requests under way as BROKER_PENDING_MAX allows.
 *
 * Repeat the request after a few seconds; if it stays so, see `broker status`. (503)
 */
final class BrokerFull extends CooldException
{
}
