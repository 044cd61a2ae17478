<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * Podman on the host failed, or answered with something that is not understood; the message has its words.
 *
 * Read the message; see the journal of podman on the host. (502)
 */
final class PodmanFailed extends CooldException
{
}
