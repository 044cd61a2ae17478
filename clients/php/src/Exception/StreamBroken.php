<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host, or its broker, broke the rules of the stream, which was ended.
 *
 * Open the stream again; report it if it happens again. (502)
 */
final class StreamBroken extends CooldException
{
}
