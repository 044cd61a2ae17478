<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * What the request needs is not available now.
 *
 * Repeat the request after a few seconds. (503)
 */
final class Unavailable extends CooldException
{
}
