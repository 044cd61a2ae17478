<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The rule would open nothing as the packet filter is now; the message says why.
 *
 * See `coold status` on the host, and repair the scaffold. (409)
 */
final class RuleWithoutEffect extends CooldException
{
}
