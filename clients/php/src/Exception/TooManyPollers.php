<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * Too many callers wait for the result of this build.
 *
 * Ask again later, from one caller. (503)
 */
final class TooManyPollers extends CooldException
{
}
