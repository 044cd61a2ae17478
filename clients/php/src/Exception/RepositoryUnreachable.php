<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The server of the repository could not be reached, or failed.
 *
 * Repeat the build; if it stays so, check the server and the way to it. (502)
 */
final class RepositoryUnreachable extends CooldException
{
}
