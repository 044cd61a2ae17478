<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The Corrosion agent on the host answered with an error.
 *
 * Read the message; see the journal of corrosion on the host. (502)
 */
final class CorrosionFailed extends CooldException
{
}
