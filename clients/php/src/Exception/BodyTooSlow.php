<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The body of the request came too slowly, or stopped.
 *
 * Send the body again; the stream that it was for goes on. (408)
 */
final class BodyTooSlow extends CooldException
{
}
