<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host answered with something that does not belong to the request.
 *
 * Compare the versions of broker and coold; report it. (500)
 */
final class HostAnswerUnknown extends CooldException
{
}
