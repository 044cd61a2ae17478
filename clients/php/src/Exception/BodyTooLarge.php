<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The body of the request is larger than it may be.
 *
 * Send less; firewall.bulk can be split. (413)
 */
final class BodyTooLarge extends CooldException
{
}
