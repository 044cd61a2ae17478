<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * Another broker has the host, and this call has to be made there; the message names the broker.
 *
 * Make the call at that broker. (503)
 */
final class HostElsewhere extends CooldException
{
}
