<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * No call has this path.
 *
 * Correct the path; the OpenAPI document lists every path. (404)
 */
final class NoSuchPath extends CooldException
{
}
