<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The container is in a state in which this cannot be done.
 *
 * Look at its state with containers.inspect, then start or stop it first. (409)
 */
final class ContainerState extends CooldException
{
}
