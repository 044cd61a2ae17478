<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The container would get more rights than a container may have; `field` names the one.
 *
 * Leave that option out, or list the folder in COOLD_ALLOWED_MOUNT_SOURCES of the host. (403)
 */
final class Denied extends CooldException
{
}
