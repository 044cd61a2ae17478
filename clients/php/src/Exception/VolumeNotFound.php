<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host has no such volume.
 *
 * Correct the name, or create the volume first. (404)
 */
final class VolumeNotFound extends CooldException
{
}
