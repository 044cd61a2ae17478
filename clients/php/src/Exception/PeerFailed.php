<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The broker that has the host answered with something that is no answer.
 *
 * Compare the versions of the brokers; report it. (502)
 */
final class PeerFailed extends CooldException
{
}
