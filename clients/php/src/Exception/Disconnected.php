<?php
declare(strict_types=1);

namespace Coolify\Coold\Exception;

use RuntimeException;

/** The broker could not be reached, or its answer broke off. */
final class Disconnected extends RuntimeException
{
    public function __construct(
        string $message,
        /** Nothing of the request can have reached the broker. */
        public readonly bool $isUnsent = false,
    ) {
        parent::__construct($message);
    }
}
