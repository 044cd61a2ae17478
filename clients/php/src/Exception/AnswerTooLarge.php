<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host's answer is larger than a message of the stream may be.
 *
 * Ask for less: filter, page, or use the streamed form. (413)
 */
final class AnswerTooLarge extends CooldException
{
}
