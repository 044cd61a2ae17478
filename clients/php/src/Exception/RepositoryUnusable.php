<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Exception;

/**
 * The repository or the ref does not exist, or the credentials are wrong.
 *
 * Correct repo_url, git_ref or the credentials. (422)
 */
final class RepositoryUnusable extends CooldException
{
}
