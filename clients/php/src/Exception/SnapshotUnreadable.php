<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The files of allow rules on the host cannot be read.
 *
 * Repair or remove /etc/coolify/allow.rules and allow.nft, then reconcile. (409)
 */
final class SnapshotUnreadable extends CooldException
{
}
