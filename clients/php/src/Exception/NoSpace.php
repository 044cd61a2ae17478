<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * A disk or a quota of the host is full.
 *
 * Make room on the host's disk, then repeat the request. (507)
 */
final class NoSpace extends CooldException
{
}
