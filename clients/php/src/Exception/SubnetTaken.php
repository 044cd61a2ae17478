<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The subnet overlaps with another, or none is free.
 *
 * Name another subnet, or remove networks that are not needed. (409)
 */
final class SubnetTaken extends CooldException
{
}
