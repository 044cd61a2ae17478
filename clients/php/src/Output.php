<?php
declare(strict_types=1);

namespace Coolify\Coold;

/** What was written, as bytes. */
final readonly class Output
{
    /** @param 'stdout'|'stderr' $stream */
    public function __construct(public string $stream, public string $data)
    {
    }
}
