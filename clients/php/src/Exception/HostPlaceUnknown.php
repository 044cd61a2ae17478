<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * It is not known at this moment which broker has the host.
 *
 * Repeat the request after a few seconds; if it stays so, see `broker status`. (503)
 */
final class HostPlaceUnknown extends CooldException
{
}
