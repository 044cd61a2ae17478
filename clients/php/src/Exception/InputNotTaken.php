<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The stream takes no input now: it takes none at all, its end of input was sent, or another call brings it.
 *
 * Stop sending input, or end the other call first. (409)
 */
final class InputNotTaken extends CooldException
{
}
