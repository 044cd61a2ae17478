<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The host did not answer in time; it goes on with the work.
 *
 * Repeat the request: a pull, stop or delete that is under way is joined. (504)
 */
final class DispatchTimeout extends CooldException
{
}
