<?php
declare(strict_types=1);

namespace Coolify\Coold\Build;

/** What is built. */
interface Build
{
    /** @return array<string, mixed> the command, as JSON has it */
    public function command(): array;
}
