<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The registry wants other credentials.
 *
 * Send credentials that the registry accepts. (502)
 */
final class RegistryDenied extends CooldException
{
}
