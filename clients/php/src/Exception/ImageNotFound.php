<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host, or the registry, has no such image.
 *
 * Correct the reference, or pull the image first. (404)
 */
final class ImageNotFound extends CooldException
{
}
