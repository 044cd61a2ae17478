<?php
// Made from proto/coolify/agent/v1 by `npm run docs`: changes here are lost.
declare(strict_types=1);

namespace Coolify\Coold\Input;

final readonly class Resources
{
    /**
     * @param int|null $memory Bytes.
     * @param int|float|null $cpus Of one core: 0.5 is half of it.
     * @param int|null $pids Processes and threads.
     */
    public function __construct(
        public ?int $memory = null,
        public int|float|null $cpus = null,
        public ?int $pids = null,
    ) {
    }

    /** @return array<string, mixed> what is given, as JSON has it */
    public function fields(): array
    {
        return array_filter([
            'memory' => $this->memory,
            'cpus' => $this->cpus,
            'pids' => $this->pids,
        ], static fn (mixed $value): bool => $value !== null);
    }
}
