<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The setting that this call needs is not set; the message names it.
 *
 * Set it and restart the program. (501)
 */
final class NotConfigured extends CooldException
{
}
