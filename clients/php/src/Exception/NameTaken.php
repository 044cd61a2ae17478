<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * Something else has this name.
 *
 * Use another name, or remove what has it. (409)
 */
final class NameTaken extends CooldException
{
}
