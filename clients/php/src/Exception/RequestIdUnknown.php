<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * No build or stream of this request_id is known.
 *
 * Do not ask again; dispatch the build or open the stream anew if it is still wanted. (404)
 */
final class RequestIdUnknown extends CooldException
{
}
