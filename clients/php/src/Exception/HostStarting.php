<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * coold on the host has not read yet what the host has.
 *
 * Repeat the request after a few seconds. (503)
 */
final class HostStarting extends CooldException
{
}
