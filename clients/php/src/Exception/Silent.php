<?php
declare(strict_types=1);

namespace Coolify\Coold\Exception;

use RuntimeException;

/** Nothing came for longer than the caller waits. */
final class Silent extends RuntimeException
{
}
