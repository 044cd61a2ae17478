<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The body is compressed, or is of a content type that this call does not read.
 *
 * Send plain JSON, or NDJSON where the call takes lines. (415)
 */
final class MediaType extends CooldException
{
}
