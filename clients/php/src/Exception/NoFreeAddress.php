<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The network has no free address.
 *
 * Remove containers from the network, or use a larger one. (409)
 */
final class NoFreeAddress extends CooldException
{
}
