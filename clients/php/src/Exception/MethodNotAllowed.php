<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The path has other methods; the header `allow` lists them.
 *
 * Use one of those methods. (405)
 */
final class MethodNotAllowed extends CooldException
{
}
