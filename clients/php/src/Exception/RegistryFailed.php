<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * A registry could not be reached, or failed.
 *
 * Repeat the request; if it stays so, check the registry and the way to it. (502)
 */
final class RegistryFailed extends CooldException
{
}
