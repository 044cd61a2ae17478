<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The caller hung up before its answer.
 *
 * Nothing; this is only in logs and metrics. (499)
 */
final class CallerLeft extends CooldException
{
}
