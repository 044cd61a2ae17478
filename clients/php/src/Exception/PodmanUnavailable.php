<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * Podman on the host did not answer.
 *
 * Repeat the request; if it stays so, see `systemctl status podman` on the host. (503)
 */
final class PodmanUnavailable extends CooldException
{
}
