<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host has no such container.
 *
 * Correct the name, or take the container for removed. (404)
 */
final class ContainerNotFound extends CooldException
{
}
